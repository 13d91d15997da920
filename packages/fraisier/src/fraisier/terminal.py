"""What people read on a terminal: free of control characters, coloured only if colours are wanted."""

from __future__ import annotations

import json
import os
import sys
from typing import IO, Any

import typer
from fraisier_core.text.printable import printable


def clean_line(text: str) -> str:
    """Return `text` printable and on one line."""
    return " ".join(printable(text).split())


def wrapped(text: str, width: int, **options: Any) -> list[str]:
    """Return a text in lines of at most `width` characters; no option of a command is broken at its hyphens.
    `options` are those of `textwrap.wrap`.
    """
    from textwrap import wrap  # for terminals alone

    return wrap(text, width, break_on_hyphens=False, **options)


def wants_live(stream: IO[str]) -> bool:
    """Whether `stream` is a terminal on which a picture can be kept up to date."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(text: str, colour: str | None, stream: IO[str]) -> str:
    """Return `text`, clean already, in a colour if `stream` takes colours (https://no-color.org)."""
    wanted = colour and wants_live(stream) and not os.environ.get("NO_COLOR")
    return typer.style(text, fg=colour) if wanted else text


def say(text: str, colour: str | None = None) -> None:
    """Print what was asked for."""
    typer.echo(coloured(printable(text), colour, sys.stdout))


def tell(text: str, colour: str | None = None) -> None:
    """Print a message beside what was asked for: to standard error."""
    typer.echo(coloured(printable(text), colour, sys.stderr), err=True)


def print_json(value: Any) -> None:
    """Print a value for machines; nothing else goes to standard output then."""
    typer.echo(json.dumps(value, indent=2))

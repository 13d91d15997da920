"""What people read on a terminal: free of control characters, coloured only if colours are wanted."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import IO, Any

import typer
from fraisier_core.text.printable import printable

# Marks that make text read in another order than it is written (Unicode TR 36).
_REORDERING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Return `text` without terminal escapes, control characters and marks that reorder it."""
    return _REORDERING.sub("", printable(text))


def clean_line(text: str) -> str:
    """Return `text` clean and on one line."""
    return " ".join(clean(text).split())


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
    typer.echo(coloured(clean(text), colour, sys.stdout))


def tell(text: str, colour: str | None = None) -> None:
    """Print a message beside what was asked for: to standard error."""
    typer.echo(coloured(clean(text), colour, sys.stderr), err=True)


def print_json(value: Any) -> None:
    """Print a value for machines; nothing else goes to standard output then."""
    typer.echo(json.dumps(value, indent=2))

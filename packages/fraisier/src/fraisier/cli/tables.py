"""Tables for people: aligned columns, one line a row."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

import typer

from fraisier.terminal import clean_line, coloured

GAP = "  "
COLOURS = {
    "success": "green",
    "running": "cyan",
    "pending": "cyan",
    "failed": "red",
    "rolled_back": "red",
    "interrupted": "red",
    "set aside": "red",
    "cancelled": "yellow",
}


class Cell(NamedTuple):
    """One cell.

    Args:
        text: what it says; None says nothing.
        colour: its colour on a terminal.
    """

    text: str | None
    colour: str | None = None


def status_cell(status: str | None) -> Cell:
    """Return a status in its colour."""
    return Cell(status, COLOURS.get(status or ""))


def short_commit(commit: str | None) -> str | None:
    """Return the first twelve digits of a commit id."""
    return commit[:12] if commit else None


def short_id(deployment_id: str) -> str:
    """Return the end of a deployment's id, which tells it apart: ids begin with the time."""
    return deployment_id[-8:]


def print_table(titles: Sequence[str], rows: Sequence[Sequence[Cell | str | None]]) -> None:
    """Print rows under their titles; on a terminal the last column is cut to its width."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in _lines([titles, *rows], width):
        typer.echo(line)


def _lines(rows: Sequence[Sequence[Cell | str | None]], width: int | None) -> Iterator[str]:
    cells = [[_cell(value) for value in row] for row in rows]
    columns = zip_longest(*(map(_text, row) for row in cells), fillvalue="")
    widths = [max(map(len, column)) for column in columns]
    for row in cells:
        yield _line(row, widths, width)


def _line(row: Sequence[Cell], widths: Sequence[int], width: int | None) -> str:
    *others, last = row
    line = "".join(
        coloured(_text(cell), cell.colour, sys.stdout) + " " * (size - len(_text(cell))) + GAP
        for cell, size in zip(others, widths, strict=False)
    )
    start = sum(widths[:-1]) + len(GAP) * len(others)
    return (line + coloured(_cut(_text(last), start, width), last.colour, sys.stdout)).rstrip()


def _cut(text: str, start: int, width: int | None) -> str:
    room = len(text) if width is None else max(20, width - start)
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _cell(value: Cell | str | None) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)


def _text(cell: Cell) -> str:
    return clean_line(cell.text or "") or "-"


def print_facts(title: str, facts: Sequence[tuple[str, Cell | str | None]]) -> None:
    """Print a title, and below it one fact a line; a fact that says nothing is left out."""
    typer.echo(clean_line(title))
    told = [(name, _cell(value)) for name, value in facts if _cell(value).text]
    width = max((len(name) for name, _ in told), default=0)
    for name, cell in told:
        typer.echo(f"{GAP}{name.ljust(width)}{GAP}{coloured(_text(cell), cell.colour, sys.stdout)}")

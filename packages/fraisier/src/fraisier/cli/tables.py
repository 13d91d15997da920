"""Tables for people: aligned columns, one line a row."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

import typer

from fraisier.terminal import clean_line, coloured

GAP = "  "
EMPTY = "-"
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
    """Text with its colour on a terminal; None says nothing."""

    text: str | None
    colour: str | None = None

    @property
    def shown(self) -> str:
        """Its text on one line."""
        return clean_line(self.text or "") or EMPTY

    @property
    def coloured(self) -> str:
        """Its text as it is printed."""
        return coloured(self.shown, self.colour, sys.stdout)


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
    cells = [[_cell(value) for value in row] for row in [titles, *rows]]
    *widths, longest = (max(len(cell.shown) for cell in column) for column in zip(*cells, strict=True))
    if sys.stdout.isatty():
        longest = max(20, shutil.get_terminal_size().columns - sum(widths) - len(GAP) * len(widths))
    for *others, last in cells:
        padded = [
            cell.coloured + " " * (width - len(cell.shown))
            for cell, width in zip(others, widths, strict=True)
        ]
        text = last.shown if len(last.shown) <= longest else f"{last.shown[: longest - 1]}…"
        typer.echo(GAP.join([*padded, Cell(text, last.colour).coloured]).rstrip())


def print_facts(title: str, facts: Sequence[tuple[str, Cell | str | None]]) -> None:
    """Print a title, and below it one fact a line; a fact that says nothing is left out."""
    typer.echo(clean_line(title))
    told = [(name, cell) for name, value in facts if (cell := _cell(value)).shown != EMPTY]
    width = max((len(name) for name, _ in told), default=0)
    for name, cell in told:
        typer.echo(f"{GAP}{name.ljust(width)}{GAP}{cell.coloured}")


def _cell(value: Cell | str | None) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)

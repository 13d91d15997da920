"""Tables for people: aligned columns, one line a row, which fit the terminal."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

import typer

from fraisier.terminal import clean_line, coloured, wrapped

GAP = "  "
EMPTY = "-"
MESSAGE_WIDTH = 40
MOST_LINES = 4
NARROWEST = 6
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


_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


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


def noun(kind: str) -> str:
    """Return what messages call a deployment of a kind."""
    return "deployment" if kind == "deploy" else kind.replace("_", " ")


def short_ids(text: str) -> str:
    """Return a text with every id in it cut to its end."""
    return _ID.sub(lambda found: short_id(found[0]), text)


class Layout(NamedTuple):
    """The columns that are shown but for the last, their widths, and how wide the last may be; None if it
    goes below its row.
    """

    columns: Sequence[int]
    widths: Sequence[int]
    room: int | None


def layout(
    titles: Sequence[str],
    widths: Sequence[int],
    first_to_go: Sequence[str],
    width: int,
    least: int = MESSAGE_WIDTH,
) -> Layout:
    """Return how a table fits: the last column, which holds the message, gets the room or goes below its row.

    Args:
        titles: of all columns.
        widths: that they need.
        first_to_go: the titles of the columns that give way, in this order.
        width: of the terminal.
        least: how many characters of the longest message are to be in its row, if it has as many.
    """
    wanted = min(widths[-1], least) + len(GAP)
    for columns in _fewer(titles, first_to_go):
        room = width - _taken(widths, columns)
        if room >= wanted:
            return Layout(columns, [widths[column] for column in columns], room - len(GAP))
    for columns in _fewer(titles, first_to_go):
        if _taken(widths, columns) <= width:
            break
    return Layout(columns, _narrowed([widths[column] for column in columns], width), None)


def _fewer(titles: Sequence[str], first_to_go: Sequence[str]) -> list[list[int]]:
    """Return all columns but the last, then always one fewer."""
    gone = [set(first_to_go[:count]) for count in range(len(first_to_go) + 1)]
    return [[at for at, title in enumerate(titles[:-1]) if title not in each] for each in gone]


def _taken(widths: Sequence[int], columns: Sequence[int]) -> int:
    return sum(widths[column] for column in columns) + len(GAP) * max(0, len(columns) - 1)


def _narrowed(widths: list[int], width: int) -> list[int]:
    """Return the widths, the widest made narrower until they fit."""
    while widths and _taken(widths, range(len(widths))) > width and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def print_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[Cell | str | None]],
    first_to_go: Sequence[str] = (),
    least: int = MESSAGE_WIDTH,
) -> Sequence[str]:
    """Print rows under their titles, whole or, on a terminal, as far as they fit: the columns `first_to_go`
    give way to the last one, which otherwise goes below its row. `least` is that of `layout`. Return the
    titles that are shown.
    """
    cells = [[_cell(value) for value in row] for row in [titles, *rows]]
    widths = [max(len(cell.shown) for cell in column) for column in zip(*cells, strict=True)]
    if sys.stdout.isatty():
        plan = layout(titles, widths, first_to_go, _width(), least)
    else:
        plan = Layout(range(len(widths) - 1), widths[:-1], widths[-1])
    for number, row in enumerate(cells):
        _print_row(row, plan, is_head=number == 0)
    return [titles[column] for column in plan.columns]


def _print_row(row: Sequence[Cell], plan: Layout, *, is_head: bool) -> None:
    shown = [(row[column], width) for column, width in zip(plan.columns, plan.widths, strict=True)]
    line = [_cut(cell, width) + " " * (width - len(cell.shown)) for cell, width in shown]
    if plan.room is not None:
        line.append(_cut(row[-1], plan.room))
    typer.echo(GAP.join(line).rstrip())
    if plan.room is None and not is_head and row[-1].text:
        for part in _wrapped(row[-1].shown, len(GAP), max_lines=MOST_LINES):
            typer.echo(GAP + Cell(part, row[-1].colour).coloured)


def print_facts(title: str, facts: Sequence[tuple[str, Cell | str | None]]) -> None:
    """Print a title, and below it one fact a line; a fact that says nothing is left out."""
    typer.echo(clean_line(title))
    told = [(name, cell) for name, value in facts if (cell := _cell(value)).shown != EMPTY]
    width = max((len(name) for name, _ in told), default=0)
    for name, cell in told:
        head = f"{GAP}{name.ljust(width)}{GAP}"
        for part in _parts(cell.shown, len(head)):
            typer.echo(head + Cell(part, cell.colour).coloured)
            head = " " * len(head)


def print_text(text: str, indent: str = "", colour: str | None = None) -> None:
    """Print a message, on a terminal in lines that fit."""
    for part in _parts(clean_line(text), len(indent)):
        typer.echo(indent + Cell(part, colour).coloured)


def print_wrapped(text: str, indent: str = "", colour: str | None = None) -> None:
    """Print a text as `print_text` does, but for commands: it holds none that is to be copied."""
    line = clean_line(text)
    for part in _wrapped(line, len(indent)) if sys.stdout.isatty() else [line]:
        typer.echo(indent + Cell(part, colour).coloured)


def _parts(text: str, indent: int) -> Sequence[str]:
    """Return the lines of a text on a terminal; one that holds a command is one line, to be copied."""
    return _wrapped(text, indent) if sys.stdout.isatty() and "`" not in text else [text]


def _wrapped(text: str, indent: int, max_lines: int | None = None) -> Sequence[str]:
    return wrapped(text, max(NARROWEST, _width() - indent), max_lines=max_lines, placeholder=" …")


def _width() -> int:
    return shutil.get_terminal_size().columns


def _cut(cell: Cell, width: int) -> str:
    text = cell.shown if len(cell.shown) <= width else f"{cell.shown[: width - 1]}…"
    return Cell(text, cell.colour).coloured


def _cell(value: Cell | str | None) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)

"""How a table fits a terminal: which columns are shown, how wide they are, and where the message goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GAP = "  "
MESSAGE_WIDTH = 40
NARROWEST = 6


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns that are shown but for the last, their widths, and how wide the last may be; None if it
    goes below its row.
    """

    columns: Sequence[int]
    widths: Sequence[int]
    room: int | None


def layout(titles: Sequence[str], widths: Sequence[int], first_to_go: Sequence[str], width: int) -> Layout:
    """Return how a table fits: the last column, which holds the message, gets at least 40 characters if it
    needs them, or goes below its row.

    Args:
        titles: of all columns.
        widths: that they need.
        first_to_go: the titles of the columns that give way, in this order.
        width: of the terminal.
    """
    wanted = min(widths[-1], MESSAGE_WIDTH) + len(GAP)
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

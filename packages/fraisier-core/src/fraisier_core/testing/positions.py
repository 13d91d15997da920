"""The positions in a parsed JSON value: the keys and indices that lead to it, `()` to the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Position = tuple[str | int, ...]


def positions(value: Any) -> Iterator[Position]:
    """Yield each position in a value, at any depth: every key, and every item of a list."""
    yield ()
    for key in _keys(value):
        yield from ((key, *rest) for rest in positions(value[key]))


def at(value: Any, position: Position) -> Any:
    """Return what is at a position."""
    for key in position:
        value = value[key]
    return value


def replaced(value: Any, position: Position, new: Any) -> Any:
    """Return a copy of a value with `new` at a position."""
    if not position:
        return new
    copy = value.copy()
    copy[position[0]] = replaced(value[position[0]], position[1:], new)
    return copy


def removed(value: Any, position: Position) -> Any:
    """Return a copy of a value without what is at a position, which is not the whole."""
    parent = at(value, position[:-1]).copy()
    del parent[position[-1]]
    return replaced(value, position[:-1], parent)


def with_strings(value: Any, new: Mapping[str, str]) -> Any:
    """Return a copy of a value in which each string that is a key of `new` is what `new` says."""
    for position in positions(value):
        string = at(value, position)
        if isinstance(string, str) and string in new:
            value = replaced(value, position, new[string])
    return value


def _keys(value: Any) -> Iterable[str | int]:
    if isinstance(value, dict):
        return value
    return range(len(value)) if isinstance(value, list) else ()

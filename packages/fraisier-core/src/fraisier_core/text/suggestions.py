"""The nearest known name to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from fraisier_core.errors import UnknownNameError


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, in any case; None if none comes near."""
    names = {each.casefold(): each for each in sorted(known)}
    matches = get_close_matches(name.casefold(), names, n=1)
    return names[matches[0]] if matches else None


def hint(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean "NEAREST"?`, or nothing if no known name comes near."""
    match = nearest(name, known)
    return f'; did you mean "{match}"?' if match else ""


def listing(names: Iterable[str]) -> str:
    """Return the names in alphabetical order, separated by commas, or `none`."""
    return ", ".join(sorted(names)) or "none"


def begun(noun: str, name: str, known: Iterable[str]) -> str:
    """Return the known name that `name` is or alone begins. Raises `UnknownNameError`."""
    names = list(known)
    found = [name] if name in names else [each for each in names if name and each.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownNameError(f'"{name}" is ambiguous: it begins {listing(found)}')
    raise UnknownNameError(unknown(noun, name, names))


def unknown(noun: str, name: str, known: Iterable[str]) -> str:
    """Return what is wrong with a name that is none of the known ones."""
    names = list(known)
    return f'no {noun} is called "{name}"{hint(name, names)} (known: {listing(names)})'

"""How many bytes, in words, and what a backup stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fraisier_core.store.records import Deployment

_STEP = 1000
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def in_bytes(count: int) -> str:
    """Return a number of bytes as people say it: 999 B, 1.5 kB, 20 MB."""
    if count < _STEP:
        return f"{count} B"
    size, unit = count / _STEP, 0
    while size >= _STEP - 0.5 and unit + 1 < len(_UNITS):
        size, unit = size / _STEP, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if size < 10 else f"{size:.0f} {_UNITS[unit]}"


def stored_in_words(deployment: Deployment) -> str | None:
    """Return what a deployment stored and where, None if it stored nothing."""
    if deployment.stored_name is None:
        return None
    return f"{deployment.stored_name}, {in_bytes(deployment.stored_size or 0)}, at {deployment.stored_at}"

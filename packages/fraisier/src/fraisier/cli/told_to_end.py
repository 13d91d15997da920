"""Being told to end by SIGTERM, from the first moment on: what is executed ends in order."""

from __future__ import annotations

import signal
from types import FrameType

_told: list[int] = []


def heed_sigterm() -> None:
    """Only note SIGTERM from now on; told again, this process ends at once."""
    if not _told:
        signal.signal(signal.SIGTERM, _note)


def is_told_to_end() -> bool:
    """Whether SIGTERM was noted."""
    return bool(_told)


def _note(number: int, _frame: FrameType | None) -> None:
    _told.append(number)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

"""What is done when others have locked a repository of restic: wait, or leave it to the next time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.discreet_restic import LOCKED

_TICK_SECONDS = 5.0

Result = TypeVar("Result")


def patiently(
    action: Callable[[], Result], seconds: float, note: Callable[[str], None], tick: float = _TICK_SECONDS
) -> Result:
    """Do something, again and again while others have the repository locked. Raises `BackupError`.

    Args:
        action: what to do.
        seconds: the patience.
        note: is told of each wait.
        tick: how long each wait is.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return action()
        except BackupError as error:
            if LOCKED not in str(error) or time.monotonic() >= until:
                raise
            note(f"{error}: waiting")
        time.sleep(tick)


def unless_locked(action: Callable[[], object], note: Callable[[str], None]) -> None:
    """Do something that can as well be done the next time: not if others have the repository locked, which
    is noted. Raises `BackupError`.
    """
    try:
        action()
    except BackupError as error:
        if LOCKED not in str(error):
            raise
        note(f"{error}: left to the next time")

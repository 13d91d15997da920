"""Named points at which a test can kill, stop or hold a process: `FRAISIER_FAILPOINT=POINT:ACTION`.

Actions: `kill` (SIGKILL to the process that gets there), `stop` (SIGSTOP to it), `hold` (that thread waits
until it is killed, at most a minute). `FRAISIER_FAILPOINT_FILE`, if set, is written with the pid first; a
point whose file already exists passes, so that each fault happens once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

HOLD_SECONDS = 60.0
_ACTIONS: dict[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "hold": lambda: time.sleep(HOLD_SECONDS),
}


def failpoint(name: str) -> None:
    """Do what `FRAISIER_FAILPOINT` asks for at this point; nothing if it does not name it."""
    point, _, action = os.environ.get("FRAISIER_FAILPOINT", "").partition(":")
    if point == name and _first_time():
        _ACTIONS[action]()


def _first_time() -> bool:
    marker = os.environ.get("FRAISIER_FAILPOINT_FILE")
    if marker is None:
        return True
    with suppress(FileExistsError):
        with Path(marker).open("x") as file:
            file.write(str(os.getpid()))
        return True
    return False

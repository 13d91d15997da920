"""A process in which one observer is told of one event: bounded in time, and without the store."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from fraisier_core.system.processes import die_with_parent

_REPORT_BYTES = 65_536
_DONE = b"\n"


class Telling:
    """The process, as the one that started it sees it.

    Args:
        tell: tells the observer.
        seconds: how long it may take.
        lock: the descriptor that holds the lock of all observers, which the process goes on holding.
    """

    def __init__(self, tell: Callable[[], None], seconds: float, lock: int) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._report, theirs = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _tell(tell, parent, theirs, lock)
        os.close(theirs)

    def fileno(self) -> int:
        """Return a file descriptor that is readable when this is over."""
        return self._report

    def outcome(self) -> str | None:
        """Return None until this is over, then what went wrong, if anything; the process is gone then."""
        ended = select.select([self], [], [], 0)[0]
        if not ended and time.monotonic() < self._until:
            return None
        report = os.read(self._report, _REPORT_BYTES) if ended else b""
        status = self.kill()
        if report:
            return report.decode(errors="replace").strip()
        return f"its process ended with status {status}" if ended else f"no answer within {self._seconds:g} s"

    def kill(self) -> int:
        """Kill what is left of the process and its group, and return its exit status."""
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.kill(self._pid, signal.SIGKILL)
        os.close(self._report)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _tell(tell: Callable[[], None], parent: int, report: int, lock: int) -> NoReturn:
    try:
        die_with_parent(parent)
        os.setsid()  # what the observer starts is ended with it
        _close_all_but(report, lock)
        tell()
        sys.stdout.flush()
        os.write(report, _DONE)
    except BaseException as error:  # noqa: BLE001 - an observer may raise anything
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        os.write(report, problem.encode(errors="replace")[: _REPORT_BYTES // 2])
    finally:
        os._exit(0)


def _close_all_but(*keep: int) -> None:
    """Close every descriptor but the standard ones and some: those of the store are among them."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - numbers, not files
        if descriptor > 2 and descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)

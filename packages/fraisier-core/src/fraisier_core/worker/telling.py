"""A process in which one observer is told of one event: bounded in time, and without the store."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

from fraisier_core.system.processes import die_with_parent
from fraisier_core.worker.assignment import receive, send

_REPORT_CHARACTERS = 8_000


class Telling:
    """The process, as the one that started it sees it; it goes on holding the lock of all observers."""

    def __init__(self, tell: Callable[[], None], seconds: float, lock: int) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._report, theirs = Pipe(duplex=False)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _tell(tell, parent, theirs, lock)
        theirs.close()

    def fileno(self) -> int:
        """Return a file descriptor that is readable when this is over."""
        return self._report.fileno()

    def outcome(self) -> str | None:
        """Return None until this is over, then what went wrong, if anything; the process is gone then."""
        is_over = self._report.poll()
        if not is_over and time.monotonic() < self._until:
            return None
        report: str | None = receive(self._report) if is_over else None
        status = self.kill()
        if report is not None:
            return report
        return (
            f"its process ended with status {status}" if is_over else f"no answer within {self._seconds:g} s"
        )

    def kill(self) -> int:
        """Kill what is left of the process and its group, and return its exit status."""
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.kill(self._pid, signal.SIGKILL)
        self._report.close()
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _tell(tell: Callable[[], None], parent: int, report: Connection, lock: int) -> NoReturn:
    try:
        die_with_parent(parent)
        os.setsid()  # what the observer starts is ended with it
        _close_all_but(report.fileno(), lock)
        tell()
        sys.stdout.flush()
        send(report, "")
    except BaseException as error:  # noqa: BLE001 - an observer may raise anything
        problem = " ".join(f"{type(error).__name__}: {error}".split()).encode(errors="replace").decode()
        send(report, problem[:_REPORT_CHARACTERS])
    finally:
        os._exit(0)


def _close_all_but(*keep: int) -> None:
    """Close every descriptor but the standard ones and some: those of the store are among them."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - numbers, not files
        if descriptor > 2 and descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)

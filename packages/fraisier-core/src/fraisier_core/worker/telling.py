"""A call of an observer: in a process of its own, which is killed when its time is over."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NamedTuple, NoReturn

from fraisier_core.errors import TellLaterError, TellNoMoreError
from fraisier_core.system.processes import die_with_parent
from fraisier_core.worker.assignment import receive, send
from fraisier_core.worker.printed import Excerpt, Printed

LONGEST_PAUSE = 3600.0
_REPORT_CHARACTERS = 8_000


class Outcome(NamedTuple):
    """What went wrong, if anything, after how many seconds the observer wants to be called again, and whether
    that is of no use; else what it returned. And what it printed.
    """

    problem: str = ""
    pause: float | None = None
    is_final: bool = False
    answer: float | bool | None = None
    printed: Excerpt = Excerpt()


class Telling:
    """The process, as the one that started it sees it; it goes on holding the lock of all observers."""

    def __init__(self, tell: Callable[[], object], seconds: float, lock: int) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._printed = Printed()
        self._report, theirs = Pipe(duplex=False)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            self._printed.take()
            _tell(tell, parent, theirs, lock)
        self._printed.started()
        theirs.close()

    @property
    def sources(self) -> list[int]:
        """File descriptors, of which one is readable when there is something for `outcome` to do."""
        return [self._report.fileno(), *([self._printed.fileno()] if self._printed.is_open else [])]

    def outcome(self) -> Outcome | None:
        """Return None until this is over; the process is gone then."""
        self._printed.read()
        is_over = self._report.poll()
        if not is_over and time.monotonic() < self._until:
            return None
        report: Outcome | None = receive(self._report) if is_over else None
        status = self._kill()
        printed = self._printed.close()
        if report is None:
            ended = f"its process ended with status {status}"
            report = Outcome(ended if is_over else f"no answer within {self._seconds:g} s")
        return report._replace(printed=printed)

    def kill(self) -> Excerpt:
        """Kill what is left of the process and its group, and return what it printed."""
        self._kill()
        return self._printed.close()

    def _kill(self) -> int:
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.kill(self._pid, signal.SIGKILL)
        self._report.close()
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _tell(tell: Callable[[], object], parent: int, report: Connection, lock: int) -> NoReturn:
    try:
        die_with_parent(parent)
        os.setpgid(0, 0)  # what the observer starts is ended with it; a session of its own would not be niced
        _close_all_but(report.fileno(), lock)
        try:
            answer = tell()
        finally:
            sys.stdout.flush()
        send(report, Outcome(answer=answer if isinstance(answer, int | float) else None))
    except TellLaterError as error:
        pause = error.seconds and min(max(0.0, error.seconds), LONGEST_PAUSE)
        send(report, Outcome(_one_line(str(error)), pause))
    except TellNoMoreError as error:
        send(report, Outcome(_one_line(str(error)), is_final=True))
    except BaseException as error:  # noqa: BLE001 - an observer may raise anything
        send(report, Outcome(_one_line(f"{type(error).__name__}: {error}")))
    finally:
        os._exit(0)


def _one_line(problem: str) -> str:
    return " ".join(problem.split()).encode(errors="replace").decode()[:_REPORT_CHARACTERS]


def _close_all_but(*keep: int) -> None:
    """Close every descriptor but the standard ones and some: those of the store are among them."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - numbers, not files
        if descriptor > 2 and descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)

"""A process in which one observer is told of some events: bounded in time, and without the store."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NoReturn

from fraisier_core.plugins import Observer
from fraisier_core.settings import ObserverSettings
from fraisier_core.store.records import Deployment, DeploymentEvent
from fraisier_core.system.processes import die_with_parent

Change = tuple[Deployment, DeploymentEvent]

_REPORT_BYTES = 65536
_PROBLEM_LENGTH = 10_000


class Telling:
    """The process, as the one that started it sees it; it reports a line for each event, or what went wrong.

    Args:
        observer: the observer.
        settings: its section; each event may take as long as it says.
        changes: what the observer is told, in order.
        lock: the descriptor that holds the lock of all observers, which the process goes on holding.
    """

    def __init__(
        self, observer: Observer, settings: ObserverSettings, changes: Sequence[Change], lock: int
    ) -> None:
        self.changes = changes
        self.told = 0
        self.problem = ""
        self._seconds = settings.timeout
        self._until = time.monotonic() + self._seconds
        self._report, theirs = os.pipe()
        os.set_blocking(self._report, False)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _tell(partial(observer.deployment_changed, settings=settings), changes, parent, theirs, lock)
        os.close(theirs)

    def fileno(self) -> int:
        """Return a file descriptor that is readable after a report."""
        return self._report

    def hear(self) -> bool:
        """Take the reports so far, and return whether this is over: the process is gone then."""
        data = self._read()
        if data:
            *told, problem = data.decode(errors="replace").split("\n")
            self.told += len(told)
            self.problem += problem
            self._until = time.monotonic() + self._seconds
        overdue = time.monotonic() >= self._until
        if data != b"" and self.told < len(self.changes) and not overdue:
            return False
        status = self.kill()
        self.problem = self.problem or (
            f"no answer within {self._seconds:g} s" if overdue else f"its process ended with status {status}"
        )
        return True

    def kill(self) -> int:
        """Kill what is left of the process and its group, and return its exit status."""
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.kill(self._pid, signal.SIGKILL)
        os.close(self._report)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> bytes | None:
        """Return what was reported, nothing at the end, None if there is no report yet."""
        try:
            return os.read(self._report, _REPORT_BYTES)
        except BlockingIOError:
            return None


def _tell(
    observer: Callable[[Deployment, DeploymentEvent], None],
    changes: Sequence[Change],
    parent: int,
    report: int,
    lock: int,
) -> NoReturn:
    try:
        die_with_parent(parent)
        os.setsid()  # what the observer starts is ended with it
        _close_all_but(report, lock)
        for deployment, event in changes:
            observer(deployment, event)
            sys.stdout.flush()
            os.write(report, b"\n")
    except BaseException as error:  # noqa: BLE001 - an observer may raise anything
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        os.write(report, problem[:_PROBLEM_LENGTH].encode(errors="replace"))
    finally:
        os._exit(0)


def _close_all_but(*keep: int) -> None:
    """Close every descriptor but the standard ones and some: those of the store are among them."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - numbers, not files
        if descriptor > 2 and descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)

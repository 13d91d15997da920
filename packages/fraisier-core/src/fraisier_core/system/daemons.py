"""What commands left running, followed until it ends; `leave_running` of `run_command` permits it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from fraisier_core.system.commands import exit_text
from fraisier_core.system.processes import (
    AWAITED,
    ProcessIdentity,
    children,
    descendants,
    leave_running,
    left_running,
)

_SHOWN_CHARACTERS = 100


class Daemons:
    """What the commands of this process leave running from now on. `since` is when that was, in clock ticks.

    Only a subreaper finds what has lost its parent. While a command runs, what it starts cannot be told from
    what daemons start: then nothing is noticed.
    """

    def __init__(self) -> None:
        self.since = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
        self._earlier = left_running()
        self._shown: dict[ProcessIdentity, str] = {}
        self._failures: list[str] = []

    @property
    def any(self) -> bool:
        """Whether anything was left running."""
        return left_running() > self._earlier

    @property
    def failure(self) -> str | None:
        """How one of them failed if none of them runs any more; None as long as one does."""
        runs = any(process.is_alive() for process in self._shown)
        return self._failures[0] if self._failures and not runs else None

    def look(self) -> None:
        """Take note of what was started and of what ended; what was started stays running as well."""
        if AWAITED or not self.any:
            return
        ours = children() - self._earlier  # what lost its parent and ended before it was seen is among these
        leave_running(descendants(os.getpid(), spare=self._earlier) | ours)
        for process in left_running() - self._earlier:
            if process.is_alive():
                self._shown[process] = shown_process(process.pid)
            elif process in ours:
                self._take_note_of_end(process)

    def _take_note_of_end(self, process: ProcessIdentity) -> None:
        with suppress(ChildProcessError):
            _, status = os.waitpid(process.pid, os.WNOHANG)
            if text := exit_text(os.waitstatus_to_exitcode(status)):
                self._failures.append(f"{self._shown.get(process, f'process {process.pid}')} {text}")


def has_newer_descendant(pid: int, ticks: int) -> bool:
    """Whether a process has a running descendant that was started since, in clock ticks from the boot."""
    return any(process.start_time >= ticks for process in descendants(pid))


def shown_process(pid: int) -> str:
    """Return a process as people know it: its command, shortened, and its id."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # gone
        words = []
    text = " ".join(words).strip()
    text = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
    return f"{text} (process {pid})" if text else f"process {pid}"

"""Waits, in a process of its own, until nobody uses a PostgreSQL server any more, then ends and removes it.

Whoever uses a server holds a lock on the file `users` in its folder. The kernel releases it however that
process ends, so that a server never outlives the tests.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

USERS = "users"
DATA = "data"
GRACE_SECONDS = 10.0
TICK_SECONDS = 0.01


def processes_of(folder: Path) -> list[int]:
    """Return the processes of the server in a folder, the postmaster first."""
    data = str(folder / DATA)
    return sorted(_working_in(data), key=lambda pid: (pid != postmaster_of(folder), pid))


def postmaster_of(folder: Path) -> int:
    """Return the process that the server in a folder says it is; 0 if it was stopped."""
    return int((_pid_file(folder) or ["0"])[0])


def end(folder: Path) -> None:
    """End the server in a folder, whatever state it is in, and remove it."""
    _signal(folder, signal.SIGQUIT, signal.SIGCONT)
    deadline = time.monotonic() + GRACE_SECONDS
    while processes_of(folder):
        if time.monotonic() > deadline:
            _signal(folder, signal.SIGKILL)
        time.sleep(TICK_SECONDS)
    forget_killed(folder)
    shutil.rmtree(folder, ignore_errors=True)


def forget_killed(folder: Path) -> None:
    """Remove what a killed server leaves: its System V segment, which is the second number of line 7, and its
    lock files, since the next start takes a zombie, if init is slow to reap it, for a server.
    """
    if len(lines := _pid_file(folder)) > 6:
        segment = lines[6].split()[1]
        subprocess.run(["ipcrm", "--shmem-id", segment], check=False, stderr=subprocess.DEVNULL)
    for lock in (folder / DATA / "postmaster.pid", *folder.glob(".s.PGSQL.*")):
        lock.unlink(missing_ok=True)


def _working_in(data: str) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str((process / "cwd").readlink()) == data:
                yield int(process.name)


def _signal(folder: Path, *signals: signal.Signals) -> None:
    for pid in processes_of(folder):
        for each in signals:
            with suppress(ProcessLookupError):
                os.kill(pid, each)


def _pid_file(folder: Path) -> list[str]:
    try:
        return (folder / DATA / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def main(folder: Path) -> None:
    """Go on in the background, and end the server in a folder once nobody uses it."""
    with (folder / USERS).open("r+") as users:
        if os.fork():
            return
        os.setsid()
        fcntl.lockf(users, fcntl.LOCK_EX)
        end(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

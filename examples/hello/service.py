"""Restarts the app without systemd: ends the serving process, starts one from `$APP`."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

APP = Path(os.environ["APP"])
RECORD = APP.with_name(f"{APP.name}.pid")
STOP_SECONDS = 5.0
MOMENT_SECONDS = 0.5


def started_at(pid: int) -> str:
    """Return when a process started: its id alone may have been reused."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def stop() -> None:
    """End the recorded process, with SIGTERM first, and wait until it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        pid, started = RECORD.read_text().split()
        process = os.pidfd_open(int(pid))
        gone = select.poll()
        gone.register(process, select.POLLIN)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if started_at(int(pid)) == started:
                signal.pidfd_send_signal(process, number)
                gone.poll(STOP_SECONDS * 1000)


def start() -> None:
    """Start the app from the release that `$APP` links to, in its own session and with its own log.

    Fails if the app exits immediately, as it does if its port is in use.
    """
    log = APP.with_name(f"{APP.name}.log")
    with log.open("ab") as output:
        app = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=APP,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    RECORD.write_text(f"{app.pid} {started_at(app.pid)}")
    with suppress(subprocess.TimeoutExpired):
        sys.exit(f"app.py exited at once with status {app.wait(MOMENT_SECONDS)}: see {log}")


if __name__ == "__main__":
    stop()
    if sys.argv[1:] != ["stop"]:
        start()

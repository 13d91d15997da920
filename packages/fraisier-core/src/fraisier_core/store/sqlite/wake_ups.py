"""Waking the workers: a named pipe for each, written to after a commit. A slow poll covers its absence."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from fraisier_core.system.timing import POLL

FOLDER = "wake"


class NamedPipe:
    """A worker's end, in the folder of the database: implements `protocol.WakeUps`."""

    poll_seconds = POLL

    def __init__(self, folder: Path) -> None:
        from fraisier_core.system.disk import make_folder  # not for those who only wake

        folder = folder / FOLDER
        make_folder(folder, 0o700)
        self._path = folder / str(os.getpid())
        self._path.unlink(missing_ok=True)
        os.mkfifo(self._path, 0o600)
        self._handle = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        return self._handle

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._handle, 4096)

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._handle)


def wake(folder: Path) -> None:
    """Write to the pipe of every worker of this store; that of a dead one is removed."""
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder / FOLDER):
            _notify(entry.path)


def _notify(path: str) -> None:
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # no process holds the other end
            with suppress(OSError):
                Path(path).unlink()
        return
    try:
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(pipe, b"!")
    finally:
        os.close(pipe)

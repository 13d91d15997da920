"""Waking the workers: a named pipe for each, written to after a commit. A slow poll covers its absence."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

FOLDER = "wake"


class WakeUps:
    """The worker's end.

    Args:
        state_dir: the folder of the store.
    """

    def __init__(self, state_dir: Path) -> None:
        folder = state_dir / FOLDER
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._path = folder / str(os.getpid())
        self._path.unlink(missing_ok=True)
        os.mkfifo(self._path, 0o620)
        self._handle = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the file descriptor, for selectors."""
        return self._handle

    def answer(self) -> None:
        """Take every ring so far."""
        with suppress(BlockingIOError):
            os.read(self._handle, 4096)

    def close(self) -> None:
        """Take the bell down."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)


def wake_workers(state_dir: Path) -> None:
    """Ring for every worker of this store; the bell of one that died is taken down."""
    with suppress(FileNotFoundError):
        for entry in os.scandir(state_dir / FOLDER):
            _ring(entry.path)


def _ring(path: str) -> None:
    try:
        bell = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nobody holds the other end
            with suppress(OSError):
                Path(path).unlink()
        return
    try:
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(bell, b"!")
    finally:
        os.close(bell)

"""A lock that dies with its holders: flock(2) on a file of its own."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fraisier_core.errors import CancelledError, StepFailedError

_POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path, *, seconds: float, cancelled: threading.Event) -> Iterator[int]:
    """Hold a lock on a file, made if it is missing, during the block; yields its file descriptor. A child
    process that inherits the descriptor goes on holding the lock when this process is killed. Raises
    `StepFailedError` if another process kept it for longer than `seconds`, and `CancelledError`.
    """
    descriptor = _open(path)
    try:
        _wait(descriptor, path, seconds, cancelled)
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Return a descriptor of `path`, a file as for `locked`, that holds its lock; None if another does."""
    descriptor = _open(path)
    if _try(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _open(path: Path) -> int:
    """Open a lock that other users cannot even read: whoever can open it can hold it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _wait(descriptor: int, path: Path, seconds: float, cancelled: threading.Event) -> None:
    until = time.monotonic() + seconds
    while not _try(descriptor):
        if time.monotonic() >= until:
            raise StepFailedError(f"another process has kept {path} locked for {seconds:g} s")
        if cancelled.wait(_POLL_SECONDS):
            raise CancelledError(f"cancelled while waiting for {path}")


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

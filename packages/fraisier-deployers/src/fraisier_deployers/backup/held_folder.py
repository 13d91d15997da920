"""A folder that a process uses, and whether one does: whatever ends the process ends that."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, alone, for as long as the context lasts; wait if another does. Raises `OSError`."""
    with _locked(folder, fcntl.LOCK_EX):
        yield


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder. Raises `OSError`."""
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False
    except BlockingIOError:
        return True


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)

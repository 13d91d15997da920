"""What the processes of one test session share: a folder, and what the first of them makes in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test session share."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent / "shared" if "PYTEST_XDIST_WORKER" in os.environ else base / "shared"
    folder.mkdir(exist_ok=True)
    return folder


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder that whichever process comes first fills, while the others wait."""
    made = folder.with_name(f"{folder.name}.made")
    with one_at_a_time(folder):
        if not made.exists():
            make(folder)
            made.touch()
    return folder


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process at a time make something of that name."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

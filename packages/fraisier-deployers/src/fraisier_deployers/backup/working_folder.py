"""Where a backup is made until it is whole: hidden beside the copies, one at a time for each environment."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError, BackupRefusedError
from fraisier_deployers.backup.local_place import PARTIAL, LocalPlace, make_private
from fraisier_deployers.backup.removal import remove_folder

LOCK = ".{}-{}.lock"
_PATIENCE_SECONDS = 30.0
_REMEDY = (
    "; a worker may write only to the ReadWritePaths= of its unit: name it there, or set schedule or limits, "
    "for a unit of the backup's own, which may write anywhere but below /usr, /boot and /etc"
)
_TICK_SECONDS = 0.2


@contextmanager
def exclusive(
    folder: Path, fraise: str, environment: str, seconds: float = _PATIENCE_SECONDS
) -> Iterator[None]:
    """Have an environment's copies in a folder to oneself, for as long as the context lasts. What killed
    processes left unfinished is removed. Raises `BackupError`: a `BackupRefusedError` if another process does
    not end in time.
    """
    try:
        make_private(folder)
        descriptor = os.open(
            folder / LOCK.format(fraise, environment),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
            0o600,
        )
    except OSError as error:
        remedy = _REMEDY if error.errno == errno.EROFS else ""
        raise BackupError(f"{error.filename}: {error.strerror}{remedy}") from error
    try:
        if not _locked(descriptor, time.monotonic() + seconds):
            using = f"{folder} is in use by another backup or restore of {fraise} {environment}"
            raise BackupRefusedError(f"{using}: wait for it, and try again")
        LocalPlace(folder).remove_unfinished(fraise, environment)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def working_folder(folder: Path, name: str) -> Iterator[Path]:
    """Yield a new folder for what is made meanwhile, within one that is used exclusively; it is removed at
    the end. Raises `BackupError`.

    Args:
        folder: within which.
        name: that of a backup, or as `backup_name` makes it: by that, what is left is told from others'.
    """
    path = folder / f".{name}{PARTIAL}"
    try:
        path.mkdir(mode=0o700)
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from error
    try:
        yield path
    finally:
        remove_folder(path)  # what is left is tried again by the next one


def _locked(descriptor: int, until: float) -> bool:
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(_TICK_SECONDS)

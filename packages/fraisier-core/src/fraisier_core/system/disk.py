"""Making folders, making files durable, and what a disk says when it takes no more."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CAUSES = {
    errno.ENOSPC: "no_space",  # of inodes too
    errno.EDQUOT: "no_quota",
    errno.EROFS: "read_only",
}


def cause(message: str) -> str:
    """Return an error message with the name of its cause before it, if the disk is full or read-only."""
    name = next((name for number, name in _CAUSES.items() if os.strerror(number) in message), None)
    return f"{name}: {message}" if name else message


def make_folder(folder: Path, mode: int = 0o755) -> None:
    """Make a folder of exactly this mode, whatever the umask, and what is missing above it, readable for
    everyone; a folder that is there is left alone. Raises `OSError`.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~0o777 | mode)  # the group may be inherited


def replace_file(file: Path, text: str, mode: int = 0o600) -> None:
    """Write a file that is there as a whole after a loss of power, or as it was before. Raises `OSError`."""
    new = file.with_name(f".{file.name}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(text.encode())
            opened.flush()
            os.fchmod(opened.fileno(), mode)
            os.fsync(opened.fileno())
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    sync_directory(file.parent)


def sync_directory(directory: Path) -> None:
    """Make durable which names a directory holds. Raises `OSError`."""
    with _opened(directory) as descriptor:
        os.fsync(descriptor)


def sync_filesystem(directory: Path) -> None:
    """Make everything durable by syncfs(2), twenty times as fast as fsync. Raises `OSError`."""
    import ctypes  # every plugin imports this module by way of the core, and few call this

    with _opened(directory) as descriptor:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(directory))


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

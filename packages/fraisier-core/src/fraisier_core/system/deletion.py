"""Deleting directories with all that is in them."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

_LIFTED = ".lifted-"
_TOO_DEEP = {errno.EMFILE, errno.ENAMETOOLONG}  # for a descriptor for each folder, or a path


def delete_tree(path: Path) -> str | None:
    """Delete a directory or file as far as possible; return why something is left, None if nothing is."""
    try:
        return _deleted(path)
    except RecursionError:  # a commit may have folders in folders without end
        _flatten(path)
        return _deleted(path)


def _deleted(path: Path) -> str | None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return None
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():  # build caches are full of directories that are read-only
        _open_up(path)
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _TOO_DEEP:
            raise RecursionError from error
        left, _, files = next(os.walk(path, topdown=False), (str(path), [], []))
        return f"{error.strerror}: {Path(left, *files[:1])}"
    return None


def _open_up(path: Path) -> None:
    with suppress(OSError):
        path.chmod(0o700)
    for parent, names, _ in os.walk(path):
        for folder in (Path(parent, name) for name in names):
            with suppress(OSError):
                if not folder.is_symlink():
                    folder.chmod(0o700)


def _flatten(path: Path) -> None:
    """Move every folder below a directory to its top, as far as possible: none lies deep then."""
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        with suppress(OSError):
            folder.chmod(0o700)
            for entry in [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]:
                moved = path / f"{_LIFTED}{os.urandom(8).hex()}"
                Path(entry.path).chmod(0o700)  # or it could not be moved
                waiting.append(Path(entry.path).rename(moved))

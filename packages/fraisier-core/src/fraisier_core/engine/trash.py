"""Old releases on their way out: renamed within a deployment, which is quick, and deleted later."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fraisier_core.system.failpoints import failpoint

_TRASH, _REASON, _LIFTED = ".trash-", ".kept-", ".lifted-"
_TOO_DEEP = {errno.EMFILE, errno.ENAMETOOLONG}  # for a descriptor for each folder, or a path


def set_aside(path: Path) -> None:
    """Rename a directory so that `empty_trash` deletes it. Raises `OSError`."""
    path.rename(path.with_name(f"{_TRASH}{path.name.lstrip('.')}-{os.urandom(6).hex()}"))


def trash(state_dir: Path) -> Iterator[Path]:
    """Yield what is set aside in every environment."""
    yield from (state_dir / "releases").glob(f"*/*/{_TRASH}*")


def empty_trash(state_dir: Path) -> None:
    """Delete what is set aside, at any time and beside others; what stays is tried again next time."""
    import logging  # not for `status`, which only reads what is left

    logger = logging.getLogger(__name__)
    for path in trash(state_dir):
        failpoint("delete")
        try:
            reason = delete(path)
        except (OSError, RecursionError) as error:  # the others are deleted all the same
            reason = f"{error}: {path}"
        note = _note(path)
        with suppress(OSError):
            if reason is None:
                note.unlink(missing_ok=True)
            elif not note.exists():
                logger.warning("the old release %s cannot be deleted: %s", path, reason)
                note.write_text(reason)


def undeletable(state_dir: Path, fraise: str, environment: str) -> dict[str, str]:
    """Return which old releases of an environment could not be deleted, each with the reason."""
    found = {}
    for path in sorted((state_dir / "releases" / fraise / environment).glob(f"{_TRASH}*")):
        with suppress(OSError):  # it has not been tried yet, or is deleted just now
            found[str(path)] = _note(path).read_text()
    return found


def delete(path: Path) -> str | None:
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
        for directory, _, _ in os.walk(path):
            with suppress(OSError):
                Path(directory).chmod(0o700)
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


def _note(path: Path) -> Path:
    return path.with_name(f"{_REASON}{path.name.removeprefix(_TRASH)}")

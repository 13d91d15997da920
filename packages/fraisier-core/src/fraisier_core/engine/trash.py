"""Old releases on their way out: renamed within a deployment, which is quick, and deleted later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fraisier_core.system.deletion import delete_tree
from fraisier_core.system.failpoints import failpoint

_TRASH, _REASON = ".trash-", ".kept-"


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
            reason = delete_tree(path)
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


def _note(path: Path) -> Path:
    return path.with_name(f"{_REASON}{path.name.removeprefix(_TRASH)}")

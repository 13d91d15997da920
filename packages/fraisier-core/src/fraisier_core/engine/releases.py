"""Releases: complete directories side by side.

A release is built under a temporary name, made durable, and renamed. Whatever a crash interrupts, a release
is complete, and `sweep` removes the rest. Failpoint: `after_export`, before the rename.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fraisier_core.engine.trash import set_aside
from fraisier_core.errors import AppPathRefusedError, StepFailedError
from fraisier_core.release import Release
from fraisier_core.system.deletion import delete_tree
from fraisier_core.system.disk import cause, make_folder, sync_directory, sync_filesystem
from fraisier_core.system.failpoints import failpoint

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TEMPORARY, _COMMIT = ".tmp-", ".commit-"


class Releases:
    """The releases of one environment, in the directory `root`. One process at a time may change them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, name: str, commit: str, fill: Callable[[Path], None]) -> Release:
        """Return a new release that is complete and durable; `fill` writes its files into an empty directory.
        Raises `AppPathRefusedError` if the name is taken, `StepFailedError` if the disk refuses, and what
        `fill` raises; what was written of it is deleted then.
        """
        final, temporary = self._path(name), self.root / f"{_TEMPORARY}{name}"
        with explained(f"release {name} cannot be written"):
            make_folder(self.root)
            for path in filter(os.path.lexists, (final, temporary)):
                what = f"{path} is in the way of a new release"
                raise AppPathRefusedError(f"{what}; remove it if nothing needs it")
            temporary.mkdir(mode=0o700)
            try:
                fill(temporary)
                temporary.chmod(0o755)
                self._commit_file(name).write_text(commit)
                sync_filesystem(temporary)
            except BaseException:
                delete_tree(temporary)
                raise
            failpoint("after_export")
            temporary.rename(final)
            sync_directory(self.root)
        return Release(name, final, commit)

    def get(self, name: str) -> Release | None:
        """Return a complete release, None if there is none of that name."""
        path = self._path(name)
        try:
            commit = self._commit_file(name).read_text()
        except FileNotFoundError:
            return None
        return Release(name, path, commit) if path.is_dir() and not path.is_symlink() else None

    def sweep(self) -> None:
        """Remove what an interrupted deployment left behind: half-made releases."""
        for entry in entries(self.root):
            if entry.name.startswith(_TEMPORARY):
                set_aside(entry)
            elif entry.name.startswith(_COMMIT) and not self._path(entry.name.removeprefix(_COMMIT)).exists():
                entry.unlink()

    def prune(self, keep: int, protected: set[str], order: Sequence[str]) -> list[str]:
        """Set aside all but `keep` releases and the protected; the first in `order` are kept longest."""
        found = (entry.name for entry in entries(self.root) if not entry.is_symlink())
        here = [name for name in found if _NAME.fullmatch(name)]
        ordered = [name for name in dict.fromkeys([*order, *here]) if name in here]
        doomed = [name for name in ordered[keep:] if name not in protected]
        for name in doomed:
            set_aside(self._path(name))
            self._commit_file(name).unlink(missing_ok=True)
        return doomed

    def _path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise AppPathRefusedError(f"invalid release name {name[:80]!r}")
        return self.root / name

    def _commit_file(self, name: str) -> Path:
        return self.root / f"{_COMMIT}{name}"


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise `StepFailedError` for an error of the system; the message begins with `what`."""
    try:
        yield
    except OSError as error:
        raise StepFailedError(cause(f"{what}: {error}")) from error


def entries(directory: Path) -> list[Path]:
    """Return what is in a directory, the newest release first; nothing if it is missing."""
    try:
        return sorted(directory.iterdir(), reverse=True)
    except FileNotFoundError:
        return []

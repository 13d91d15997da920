"""A folder that takes the place of another once it is whole; what was there before is kept beside it."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError, BackupRefusedError
from fraisier_deployers.backup.sources.folder_staging import (
    has_content,
    left_stagings,
    mount_of,
    mounts_below,
    problems_named,
)
from fraisier_deployers.backup.sources.folders import require_no_link
from fraisier_deployers.backup.targets import LEFT, LEFT_ALONE

_REPLACED = "{}.replaced-{}"
_CUT_OFF = "a restore of {0} was cut off between two renames: what was there is {1}; rename it to {0}"
_OTHERWISE = "move away what is in it yourself, and restore without --replace"
_ELSEWHERE = "restore into a new folder, and move what is in it yourself"
_BY_HAND = "do it yourself"


@dataclass(frozen=True, slots=True)
class FolderSwap:
    """A folder, and what takes its place.

    Args:
        place: the folder, which need not exist.
        restored: what takes its place, on the same file system.
        id: what tells this swap from others.
    """

    place: Path
    restored: Path
    id: str

    @property
    def replaced(self) -> Path:
        """What was there before."""
        return self.place.with_name(_REPLACED.format(self.place.name, self.id))

    @problems_named()
    def execute(self, undoing: ExitStack) -> None:
        """Rename what is there, and have the other take its place. Raises `BackupError`.

        Args:
            undoing: is told how to restore what was there.
        """
        if has_content(self.place):
            _move(self.place, self.replaced, undoing)
        if self.place.exists():
            self._fill(undoing)
        else:
            _move(self.restored, self.place, undoing)

    def _fill(self, undoing: ExitStack) -> None:
        """Move what is in the one to the other, which may be a mount point."""
        found = self.restored.stat()
        self.restored.chmod(0o700)
        for entry in sorted(self.restored.iterdir()):
            _move(entry, self.place / entry.name, undoing)
        shutil.copystat(self.restored, self.place)
        if os.geteuid() == 0:
            os.chown(self.place, found.st_uid, found.st_gid)
        self.place.chmod(stat.S_IMODE(found.st_mode))


@problems_named()
def require_swappable(place: Path) -> None:
    """Raise `BackupRefusedError` if a folder cannot be renamed, or nothing can be made beside it."""
    require_no_link(place)
    if not has_content(place):
        return
    if place.is_mount() or mount_of(place) != mount_of(place.parent):
        raise BackupRefusedError(f"{place} is a mount point, which cannot be renamed: {_OTHERWISE}")
    if mounts := mounts_below(place):
        why = f"has a mount point in it, {mounts[0]}, and would take it along"
        raise BackupRefusedError(f"{place} {why}: {_ELSEWHERE}")
    try:
        tempfile.TemporaryDirectory(dir=place.parent, prefix=".fraisier-").cleanup()
    except OSError as error:
        why = f"nothing can be made in {place.parent}: {error.strerror}"
        raise BackupRefusedError(f"{place} cannot be replaced: {why}: {_OTHERWISE}") from error


def left_beside(places: Sequence[Path]) -> Iterator[str]:
    """Yield what restores of folders left or replaced, and what becomes of it."""
    stagings = left_stagings(places)
    for place in places:
        replaced = sorted(place.parent.glob(_REPLACED.format(glob.escape(place.name), "*")))
        cut_off = [path for path in replaced if path.name.rpartition("-")[2] in stagings.values()] or replaced
        for path in replaced:
            if path in cut_off and not place.exists():
                yield _CUT_OFF.format(place, path)
            else:
                yield LEFT_ALONE.format(path, removing(path))
    for path in stagings:
        yield LEFT.format(path, removing(path))


def removing(path: Path) -> str:
    """Return the command that removes a folder."""
    return shlex.join(["rm", "-r", "--one-file-system", str(path)])


def _move(path: Path, to: Path, undoing: ExitStack) -> None:
    undoing.callback(_move_back, to, path)  # first, as what interrupts may come at any time
    _rename(path, to, _OTHERWISE)


def _move_back(path: Path, to: Path) -> None:
    if not os.path.lexists(to):
        _rename(path, to, _BY_HAND)


def _rename(path: Path, to: Path, otherwise: str) -> None:
    try:
        mode = path.lstat().st_mode
        is_closed = stat.S_ISDIR(mode) and not mode & stat.S_IWUSR and path.parent != to.parent
        if is_closed:
            path.chmod(0o700)  # or its `..` could not be changed
        path.rename(to)
        if is_closed:
            to.chmod(stat.S_IMODE(mode))
    except OSError as error:
        raise BackupError(f"{path} cannot be renamed to {to}: {error.strerror}: {otherwise}") from error

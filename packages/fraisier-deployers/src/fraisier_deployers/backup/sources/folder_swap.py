"""A folder that takes the place of another once it is whole; what was there before is kept beside it."""

from __future__ import annotations

import glob
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError, BackupRefusedError
from fraisier_deployers.backup.sources.folders import require_no_link
from fraisier_deployers.backup.targets import LEFT, LEFT_ALONE

_RESTORED, _REPLACED = ".{}.{}.restoring", "{}.replaced-{}"
_CUT_OFF = (
    "a restore of {0} was cut off between two renames: what was there is {1}, what was restored is {2}; "
    "rename one of them to {0}"
)
_OTHERWISE = "move away what is in it yourself, and restore without --replace"


@dataclass(frozen=True, slots=True)
class FolderSwap:
    """A folder, and what is made beside it to take its place.

    Args:
        place: the folder, which need not exist.
        id: what tells this swap from others.
    """

    place: Path
    id: str

    @property
    def restored(self) -> Path:
        """What takes its place."""
        return self.place.with_name(_RESTORED.format(self.place.name, self.id))

    @property
    def replaced(self) -> Path:
        """What was there before."""
        return self.place.with_name(_REPLACED.format(self.place.name, self.id))

    def renaming(self, root: Path) -> str:
        """Return the option by which tar extracts the folder beside its place, with what links to it.

        Args:
            root: what the names in the archive are relative to.
        """
        within = self.place.relative_to(root)
        above, old = map(_pattern, ("".join(f"{each}/" for each in within.parts[:-1]), within.name))
        new = re.sub(r"[\\&/]", r"\\\g<0>", self.restored.name)
        return rf"--transform=flags=rhS;s/^\({above}\){old}\(\/\|$\)/\1{new}\2/"

    def execute(self) -> None:
        """Rename what is there, and have the other take its place. Raises `BackupError`."""
        if self.place.exists():
            _rename(self.place, self.replaced, _OTHERWISE)
        _rename(self.restored, self.place, _OTHERWISE)

    def undo(self) -> None:
        """Restore what was there, however far that came. Raises `BackupError`."""
        if self.place.exists() and not self.restored.exists():
            _rename(self.place, self.restored, f"it was restored; what was there is {self.replaced}")
        if self.replaced.exists():
            _rename(self.replaced, self.place, "do it yourself: this is what was there")

    def discard(self) -> None:
        """Delete what was to take its place."""
        shutil.rmtree(self.restored, ignore_errors=True)


def require_swappable(place: Path) -> None:
    """Raise `BackupRefusedError` if a folder cannot be renamed, or nothing can be made beside it."""
    require_no_link(place)
    if not place.exists():
        return
    if place.is_mount():
        raise BackupRefusedError(f"{place} is a mount point, which cannot be renamed: {_OTHERWISE}")
    try:
        tempfile.TemporaryDirectory(dir=place.parent, prefix=".fraisier-").cleanup()
    except OSError as error:
        why = f"nothing can be made in {place.parent}: {error.strerror}"
        raise BackupRefusedError(f"{place} cannot be replaced: {why}: {_OTHERWISE}") from error


def left_beside(place: Path) -> Iterator[str]:
    """Yield what restores left beside a folder or replaced, and what becomes of it."""
    cut_off = set()
    for swap in _beside(place, _RESTORED):
        if swap.replaced.exists() and not place.exists():
            cut_off.add(swap.id)
            yield _CUT_OFF.format(place, swap.replaced, swap.restored)
        else:
            yield LEFT.format(swap.restored, _removing(swap.restored))
    for swap in _beside(place, _REPLACED):
        if swap.id not in cut_off:
            yield LEFT_ALONE.format(swap.replaced, _removing(swap.replaced))


def _pattern(text: str) -> str:
    return re.sub(r"[][\\.*^$/]", r"\\\g<0>", text)


def _rename(path: Path, to: Path, otherwise: str) -> None:
    try:
        path.rename(to)
    except OSError as error:
        raise BackupError(f"{path} cannot be renamed to {to}: {error.strerror}: {otherwise}") from error


def _removing(path: Path) -> str:
    return shlex.join(["rm", "-r", str(path)])


def _beside(place: Path, form: str) -> list[FolderSwap]:
    """Return the swaps of which something of that form lies beside a place."""
    found = sorted(place.parent.glob(form.format(glob.escape(place.name), "*")))
    before, after = form.format(place.name, "/").split("/")
    return [FolderSwap(place, path.name.removeprefix(before).removesuffix(after)) for path in found]

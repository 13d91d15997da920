"""Folders of ours, for their owner alone, in which folders are extracted before they take their places."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError

_NAME = ".{}.{}.restoring"
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_OURS = re.compile(r"\..+\.([0-9a-f]{8})\.restoring", re.DOTALL)


@contextmanager
def problems_named() -> Iterator[None]:
    """Raise `BackupError` for what a disk refuses, or the permissions of a folder."""
    try:
        yield
    except OSError as error:
        raise BackupError(f"{error.filename}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Staging:
    """A new folder on the file system of some places, from which what was extracted is renamed to them. What
    an archive does, it does in here.

    Args:
        path: of the folder.
        root: what the names in the archive are relative to.
        places: where the folders that are extracted in it will be.
    """

    path: Path
    root: Path
    places: tuple[Path, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """The names of these folders in the archive."""
        return tuple(str(place.relative_to(self.root)) for place in self.places)

    def staged(self, place: Path) -> Path:
        """Return where what will be at a place is extracted."""
        return self.path / place.relative_to(self.root)

    def make(self) -> None:
        """Make the folder. Raises `OSError`."""
        self.path.mkdir(mode=0o700)

    def require_folders(self) -> None:
        """Raise `BackupError` unless folders were extracted, and no links by which another one is found."""
        for staged in map(self.staged, self.places):
            for path in (staged, *staged.parents):
                if path == self.path:
                    break
                if path.is_symlink() or not path.is_dir():
                    raise BackupError(f"{path.relative_to(self.path)} is no folder in the archive")


def staging_folders(root: Path, places: Sequence[Path], swap_id: str) -> Iterator[Staging]:
    """Yield one for the places of each file system, to be made; hard links between these can be restored.

    Args:
        root: what the names in the archive are relative to.
        places: where the folders of the archive will be.
        swap_id: tells this restore from others.
    """
    together: dict[tuple[int, str], list[Path]] = {}
    for place in places:
        together.setdefault(mount_of(_near(place)), []).append(place)
    for first, *others in together.values():
        yield Staging(_near(first) / _NAME.format(first.name, swap_id), root, (first, *others))


def left_stagings(places: Sequence[Path]) -> dict[Path, str]:
    """Return what restores left that were killed, and what tells each from others."""
    found = {}
    for place in places:
        for folder in filter(Path.is_dir, (place, *place.parents)):
            for path in sorted(folder.glob(_NAME.format(glob.escape(place.name), "*"))):
                if match := _OURS.fullmatch(path.name):
                    found[path] = match[1]
    return found


def has_content(path: Path) -> bool:
    """Whether anything is at a path but an empty folder, or one without content."""
    if path.is_symlink() or not path.is_dir():
        return os.path.lexists(path)
    return any(map(is_content, path.iterdir()))


def is_content(entry: Path) -> bool:
    """Whether what is in a folder is neither what a killed restore left, nor the `lost+found` of a disk."""
    return not (_OURS.fullmatch(entry.name) or _is_lost_and_found(entry))


def _is_lost_and_found(entry: Path) -> bool:
    if entry.name != "lost+found" or entry.is_symlink() or not (entry.is_dir() and entry.parent.is_mount()):
        return False
    with suppress(PermissionError):
        return entry.stat().st_uid == 0 and not any(entry.iterdir())
    return entry.stat().st_uid == 0


def mount_of(folder: Path) -> tuple[int, str]:
    """Return what is the same for folders between which can be renamed. Raises `OSError`."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
        return os.fstat(descriptor).st_dev, re.findall(r"^mnt_id:\s*(\d+)", told, re.MULTILINE)[0]
    finally:
        os.close(descriptor)


def mounts_below(folder: Path) -> list[Path]:
    """Return the mount points in a folder, at any depth. Raises `OSError`."""
    lines = Path("/proc/self/mountinfo").read_bytes().strip().split(b"\n")
    mounts = (Path(os.fsdecode(_ESCAPED.sub(_character, line.split(b" ")[4]))) for line in lines)
    return sorted(mount for mount in mounts if folder.resolve() in mount.parents)


def _character(escaped: re.Match[bytes]) -> bytes:
    return bytes([int(escaped[1], 8)])


def _near(place: Path) -> Path:
    """Return an empty folder itself, which may be a mount point, and else the closest folder above."""
    return next(
        each for each in (place, *place.parents) if each.is_dir() and (each != place or not has_content(each))
    )

"""Folders as a target."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from fraisier_deployers.backup.backup_errors import BackupError, BackupRefusedError
from fraisier_deployers.backup.compression import decompressing
from fraisier_deployers.backup.dumping import BackupSource
from fraisier_deployers.backup.manifest import FolderFacts, Manifest
from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.pipelines import run_pipeline
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.sources.folders import FoldersSource, require_no_link
from fraisier_deployers.backup.sources.sqlite_target import VARIABLE
from fraisier_deployers.backup.targets import LEFT_ALONE

_ROOT = Path("/")
_ASIDE = ".set-aside-"
_REPLACED = ".replaced-"
_CUT_OFF = "a restore of {0} was cut off: unless one is still at work, what was there is {1}: move it back"


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """A folder below which the folders of a backup are restored, each under its whole path; `/` restores them
    to where they were.

    Args:
        root: the folder, which need not exist.
        paths: the folders of the backup.
        runner: runs the commands.
    """

    root: Path
    paths: Sequence[Path]
    runner: Runner

    @property
    def name(self) -> str:
        """The path of the folder."""
        return str(self.root)

    @property
    def places(self) -> tuple[Path, ...]:
        """Where each folder is restored."""
        return tuple(self.root / path.relative_to("/") for path in self.paths)

    def is_vacant(self) -> bool:
        """Whether none of these places has anything in it, nor the folder a file, unless it is `/`."""
        return not any(map(_has_content, self.places)) and (self.root == _ROOT or not _has_files(self.root))

    def require_replaceable(self, manifest: Manifest) -> None:  # noqa: ARG002 - it is the same for all
        """Raise `BackupRefusedError` if what is there is not what would be replaced."""
        if not self.is_vacant() and not any(map(_has_content, self.places)):
            raise BackupRefusedError(f"{self.root} has something else in it: name a new or empty folder")

    def source(self) -> BackupSource:
        """Return what is at these places as a source."""
        there = [place for place in self.places if place.is_dir()]
        return FoldersSource(there, root=self.root)

    def leftovers(self) -> Sequence[str]:
        """Return the folders beside these places that restores replaced, or were killed before they did."""
        cut_off = [_CUT_OFF.format(place, path) for place in self.places for path in _beside(place, _ASIDE)]
        replaced = [path for place in self.places for path in _beside(place, _REPLACED)]
        return [
            *cut_off,
            *(LEFT_ALONE.format(path, shlex.join(["rm", "-r", str(path)])) for path in replaced),
        ]

    def restore(self, file: Path, manifest: Manifest, work: Path) -> None:  # noqa: ARG002 - it needs no folder
        """Extract an archive; these places are as empty as before if that fails."""
        _facts(manifest)
        stages = decompressing(file.name)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackupError(f"{error.filename}: {error.strerror}") from error
        with ExitStack() as undoing:
            for place in self.places:
                undoing.callback(_empty, place, remains=place.exists())
            run_pipeline(self.runner, Pipeline(str(file), after=(*stages, self._extracting())))
            undoing.pop_all()

    def replace(self, file: Path, manifest: Manifest, work: Path) -> None:
        """Rename what is at these places, which is kept, and extract an archive."""
        kept: dict[Path, Path] = {}
        with ExitStack() as undoing:
            for place in self.places:
                require_no_link(place)
                if place.exists():
                    kept[place] = _set_aside(place)
                    undoing.callback(_undo_set_aside, place, kept[place])
            self.restore(file, manifest, work)
            undoing.pop_all()
        for place, aside in kept.items():
            replaced = aside.rename(f"{place}{_REPLACED}{uuid4().hex[:8]}")
            self.runner.note(f"what was in {place} is kept as {replaced}, until you delete it")

    def differences(self, manifest: Manifest) -> list[str]:
        """Return whether there are other numbers of entries and bytes than in the archive."""
        facts = _facts(manifest)
        entries, content_bytes = self._counted()
        pairs = {"entries": (entries, facts.entries), "bytes": (content_bytes, facts.content_bytes)}
        return [f"{a} {what}, not {b}" for what, (a, b) in pairs.items() if a != b]

    def variables(self) -> Mapping[str, str]:
        """Return its path."""
        return {VARIABLE: str(self.root)}

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _extracting(self) -> Stage:
        options = ("--extract", "--file=-", "--preserve-permissions", "--acls", "--xattrs")
        everything = ("--xattrs-include=*",) if os.geteuid() == 0 else ()
        return Stage(("tar", *options, *everything, f"--directory={self.root}"))

    def _counted(self) -> tuple[int, int]:
        entries, files = 0, {}
        for place in self.places:
            for entry in (place, *_below(place)):
                entries += 1
                found = entry.lstat()
                if entry.is_file() and not entry.is_symlink():
                    files[found.st_dev, found.st_ino] = found.st_size
        return entries, sum(files.values())


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def _beside(place: Path, infix: str) -> list[Path]:
    return sorted(place.parent.glob(f"{glob.escape(place.name)}{infix}*"))


def _has_content(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir())))


def _has_files(folder: Path) -> bool:
    return (folder.exists() and not folder.is_dir()) or any(files for _, _, files in os.walk(folder))


def _set_aside(place: Path) -> Path:
    """Rename a folder until another has taken its place, and return its new name."""
    aside = Path(f"{place}{_ASIDE}{uuid4().hex[:8]}")
    try:
        place.rename(aside)
    except OSError as error:
        how = "move away what is in it yourself, and restore without --replace"
        raise BackupError(f"{place} cannot be renamed: {error.strerror}: {how}") from error
    return aside


def _undo_set_aside(place: Path, aside: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)


def _empty(place: Path, *, remains: bool) -> None:
    """Delete what was extracted into a folder that was empty, and the folder unless it was there before."""
    with suppress(OSError):
        for entry in place.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()
        if not remains:
            place.rmdir()


def _facts(manifest: Manifest) -> FolderFacts:
    if not isinstance(manifest.facts, FolderFacts):
        raise BackupError(f"{manifest.name} is of {manifest.source}, not of folders")
    return manifest.facts

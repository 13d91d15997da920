"""Folders as a target."""

from __future__ import annotations

import os
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
from fraisier_deployers.backup.sources.folder_swap import FolderSwap, left_beside, require_swappable
from fraisier_deployers.backup.sources.folders import FoldersSource
from fraisier_deployers.backup.sources.sqlite_target import VARIABLE

_ROOT = Path("/")


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
        """Raise `BackupRefusedError` if what is there is not what would be replaced, or cannot be."""
        if self.is_vacant():
            return
        if not any(map(_has_content, self.places)):
            other = f"{self.root} has something else in it: name a new or empty folder"
            raise BackupRefusedError("; ".join([other, *self.leftovers()]))
        for place in self.places:
            require_swappable(place)

    def source(self) -> BackupSource:
        """Return what is at these places as a source."""
        there = [place for place in self.places if place.is_dir()]
        return FoldersSource(there, root=self.root)

    def leftovers(self) -> Sequence[str]:
        """Return the folders beside these places that restores replaced, or left when they were killed."""
        return [line for place in self.places for line in left_beside(place)]

    def restore(self, file: Path, manifest: Manifest, work: Path) -> None:  # noqa: ARG002 - it needs no folder
        """Extract an archive; these places are as empty as before if that fails."""
        _facts(manifest)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackupError(f"{error.filename}: {error.strerror}") from error
        with ExitStack() as undoing:
            for place in self.places:
                undoing.callback(_empty, place, remains=place.exists())
            self._extract(file)
            undoing.pop_all()

    def replace(self, file: Path, manifest: Manifest, work: Path) -> None:  # noqa: ARG002 - it needs no folder
        """Extract an archive beside these places, and swap once it is whole; what was there is kept."""
        swaps = [FolderSwap(place, uuid4().hex[:8]) for place in self.places]
        with ExitStack() as undoing:
            for swap in swaps:
                undoing.callback(swap.discard)
            self._extract(file, *(swap.renaming(self.root) for swap in swaps))
            if differences := _differences([swap.restored for swap in swaps], manifest):
                raise BackupError(f"{self.root} was left as it was: {'; '.join(differences)}")
            for swap in swaps:
                undoing.callback(swap.undo)
                swap.execute()
            undoing.pop_all()
        for swap in swaps:
            if swap.replaced.exists():
                self.runner.note(f"what was in {swap.place} is kept as {swap.replaced}, until you delete it")

    def differences(self, manifest: Manifest) -> list[str]:
        """Return whether there are other numbers of entries and bytes than in the archive."""
        return _differences(self.places, manifest)

    def variables(self) -> Mapping[str, str]:
        """Return its path."""
        return {VARIABLE: str(self.root)}

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _extract(self, file: Path, *renaming: str) -> None:
        options = ("--extract", "--file=-", "--preserve-permissions", "--acls", "--xattrs", *renaming)
        everything = ("--xattrs-include=*",) if os.geteuid() == 0 else ()
        extracting = Stage(("tar", *options, *everything, f"--directory={self.root}"))
        run_pipeline(self.runner, Pipeline(str(file), after=(*decompressing(file.name), extracting)))


def _differences(folders: Sequence[Path], manifest: Manifest) -> list[str]:
    facts = _facts(manifest)
    entries, content_bytes = _counted(folders)
    pairs = {"entries": (entries, facts.entries), "bytes": (content_bytes, facts.content_bytes)}
    return [f"{a} {what}, not {b}" for what, (a, b) in pairs.items() if a != b]


def _counted(folders: Sequence[Path]) -> tuple[int, int]:
    entries, files = 0, {}
    for folder in folders:
        for entry in (folder, *_below(folder)):
            entries += 1
            found = entry.lstat()
            if entry.is_file() and not entry.is_symlink():
                files[found.st_dev, found.st_ino] = found.st_size
    return entries, sum(files.values())


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def _has_content(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir())))


def _has_files(folder: Path) -> bool:
    return (folder.exists() and not folder.is_dir()) or any(files for _, _, files in os.walk(folder))


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

"""Folders as a target."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
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
from fraisier_deployers.backup.removal import remove_folder
from fraisier_deployers.backup.sources.folder_staging import (
    Staging,
    has_content,
    is_content,
    problems_named,
    staging_folders,
)
from fraisier_deployers.backup.sources.folder_swap import FolderSwap, left_beside, require_swappable
from fraisier_deployers.backup.sources.folders import FoldersSource, require_no_link
from fraisier_deployers.backup.sources.sqlite_target import VARIABLE

_ROOT = Path("/")
_MOST_HEADER_BYTES = 2**20
"""More than an archive has of an entry beside its content, such as extended attributes."""


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

    @problems_named()
    def is_vacant(self) -> bool:
        """Whether none of these places has anything in it, nor the folder, unless it is `/`."""
        return not any(map(has_content, (*self.places, *([] if self.root == _ROOT else [self.root]))))

    def require_replaceable(self, manifest: Manifest) -> None:  # noqa: ARG002 - it is the same for all
        """Raise `BackupRefusedError` if what is there is not what would be replaced, or cannot be."""
        if self.is_vacant():
            return
        if not any(map(has_content, self.places)):
            other = f"{self.root} has something else in it: name a new or empty folder"
            raise BackupRefusedError("; ".join([other, *self.leftovers()]))
        for place in self.places:
            require_swappable(place)

    def source(self) -> BackupSource:
        """Return what is at these places as a source."""
        there = [place for place in self.places if place.is_dir()]
        return FoldersSource(there, root=self.root)

    @problems_named()
    def leftovers(self) -> Sequence[str]:
        """Return the folders beside these places that restores replaced, or left when they were killed."""
        return list(left_beside(self.places))

    @problems_named()
    def restore(self, file: Path, manifest: Manifest, work: Path) -> None:  # noqa: ARG002 - it needs no folder
        """Extract an archive near these places, and swap once it is whole; what was there is kept."""
        swap_id, swaps = uuid4().hex[:8], list[FolderSwap]()
        with ExitStack() as ending:
            for staging in staging_folders(self.root, self.places, swap_id):
                ending.callback(self._remove, staging)
                self._extract(file, staging, _facts(manifest))
                swaps += [FolderSwap(place, staging.staged(place), swap_id) for place in staging.places]
            if differences := _differences([swap.restored for swap in swaps], manifest):
                raise BackupError(f"{self.root} was left as it was: {'; '.join(differences)}")
            self._execute(swaps)
        for swap in swaps:
            if swap.replaced.exists():
                self.runner.note(f"what was in {swap.place} is kept as {swap.replaced}, until you delete it")

    def replace(self, file: Path, manifest: Manifest, work: Path) -> None:
        """Do the same."""
        self.restore(file, manifest, work)

    def differences(self, manifest: Manifest) -> list[str]:
        """Return whether there are other numbers of entries and bytes than in the archive, which may or may
        not have had what is no content of the folders.
        """
        content = _differences(self.places, manifest, is_counted=is_content)
        return content and _differences(self.places, manifest)

    def variables(self) -> Mapping[str, str]:
        """Return its path."""
        return {VARIABLE: str(self.root)}

    def remove(self) -> None:
        """Delete the folder. Raises `BackupError`."""
        if reason := remove_folder(self.root):
            raise BackupError(f"{self.root} cannot be removed: {reason}")

    def _extract(self, file: Path, staging: Staging, facts: FolderFacts) -> None:
        staging.make()
        options = ("--extract", "--file=-", "--preserve-permissions", "--acls", "--xattrs", "--no-unquote")
        everything = ("--xattrs-include=*",) if os.geteuid() == 0 else ()
        where = (f"--directory={staging.path}", "--", *staging.members)
        most = facts.content_bytes + (facts.entries + 1) * _MOST_HEADER_BYTES
        stages = (Stage(("head", f"--bytes={most}")), Stage(("tar", *options, *everything, *where)))
        run_pipeline(self.runner, Pipeline(str(file), after=(*decompressing(file.name), *stages)))
        staging.require_folders()

    def _execute(self, swaps: Sequence[FolderSwap]) -> None:
        with ExitStack() as undoing:
            for swap in swaps:
                self._make_parents(swap.place, undoing)
                swap.execute(undoing)
            undoing.pop_all()

    def _make_parents(self, place: Path, undoing: ExitStack) -> None:
        """Make the folders above a place; the backup does not know who may enter them."""
        missing = [folder for folder in place.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700)
            undoing.callback(_remove_if_empty, folder)
        if missing:
            self.runner.note(f"{missing[-1]} was missing, and is made for its owner alone")

    def _remove(self, staging: Staging) -> None:
        if reason := remove_folder(staging.path):
            self.runner.note(f"{staging.path} cannot be removed: {reason}")


@problems_named()
def require_own(root: Path) -> None:
    """Raise `BackupRefusedError` if another user may change what is in a folder while it is filled."""
    require_no_link(root)
    if root.exists():
        found = root.stat()
        if found.st_uid not in {0, os.geteuid()} or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            how = "name a new folder, which is made for its owner alone"
            raise BackupRefusedError(f"{root} may be changed by other users: {how}")


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _everything(_: Path) -> bool:
    return True


def _differences(
    folders: Sequence[Path], manifest: Manifest, is_counted: Callable[[Path], bool] = _everything
) -> list[str]:
    facts = _facts(manifest)
    entries, content_bytes = _counted(folders, is_counted)
    pairs = {"entries": (entries, facts.entries), "bytes": (content_bytes, facts.content_bytes)}
    return [f"{a} {what}, not {b}" for what, (a, b) in pairs.items() if a != b]


@problems_named()
def _counted(folders: Sequence[Path], is_counted: Callable[[Path], bool]) -> tuple[int, int]:
    """Return how many folders, files and links there are, and the bytes of the files, of each once.

    Args:
        folders: the folders.
        is_counted: whether something that is directly in one of them is.
    """
    entries, files, waiting = len(folders), {}, [*map(str, folders)]
    outermost = {*waiting}
    while waiting:
        with os.scandir(folder := waiting.pop()) as found:
            for entry in found:
                if folder in outermost and not is_counted(Path(entry.path)):
                    continue
                entries += 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    files[status.st_dev, status.st_ino] = status.st_size
    return entries, sum(files.values())


def _facts(manifest: Manifest) -> FolderFacts:
    if not isinstance(manifest.facts, FolderFacts):
        raise BackupError(f"{manifest.name} is of {manifest.source}, not of folders")
    return manifest.facts

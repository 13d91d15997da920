"""Folders as a source: an archive of tar, compressed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.compression import compressing
from fraisier_deployers.backup.dumping import Dumped, Sink
from fraisier_deployers.backup.manifest import FolderFacts
from fraisier_deployers.backup.pipeline import Stage
from fraisier_deployers.backup.pipelines import python, run_pipeline
from fraisier_deployers.backup.places import Runner

_MODULE = "fraisier_deployers.backup.sources.counting"
_CHANGED = 1
"""The exit status of tar if a file changed or vanished while it was read; tar says which."""


@dataclass(frozen=True, slots=True)
class FoldersSource:
    """Folders as what is backed up. Symbolic links in them are kept as such, never followed.

    Args:
        paths: the folders.
        exclude: patterns of names that are left out, as tar's `--exclude`.
        root: what the names in the archive are relative to.
        suffix: `.tar` leaves the archive as it is.
    """

    paths: Sequence[Path]
    exclude: Sequence[str] = ()
    root: Path = Path("/")
    suffix: str = ".tar.zst"

    def dump(self, runner: Runner, work: Path, sink: Sink) -> Dumped:
        """Archive the folders. What changes meanwhile is named in the output. Raises `BackupError`."""
        for path in self.paths:
            _require_folder(path)
        facts_file = work / "facts"
        archiving = Stage(self._tar(), (0, _CHANGED))
        counting = Stage(python(_MODULE, str(facts_file), *self._names))
        flowed = run_pipeline(runner, sink.fed_by(archiving, counting, *compressing(self.suffix)))
        counted = json.loads(facts_file.read_text())
        if missing := [str(self.root / name) for name in counted["missing"]]:
            raise BackupError(f"source.exclude leaves out {', '.join(missing)}: correct it")
        facts = FolderFacts(paths=tuple(map(str, self.paths)), **counted)
        return Dumped(flowed.size, flowed.sha256, facts)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(str(path.relative_to(self.root)) for path in self.paths)

    def _tar(self) -> tuple[str, ...]:
        options = (
            "--create",
            "--file=-",
            "--format=posix",
            "--sparse",
            "--acls",
            "--xattrs",
            "--xattrs-include=*",
            "--no-unquote",
        )
        excluded = (f"--exclude={pattern}" for pattern in self.exclude)
        return ("tar", *options, *excluded, f"--directory={self.root}", "--", *self._names)


def _require_folder(path: Path) -> None:
    try:
        if not path.is_dir():
            raise BackupError(f"{path} is no folder: correct source.folders")
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from error
    require_no_link(path)


def require_no_link(path: Path) -> None:
    """Raise `BackupError` if a folder is a symbolic link: an archive would have the link alone."""
    if path.is_symlink():
        raise BackupError(f"{path} is a symbolic link: name {path.resolve()} instead")

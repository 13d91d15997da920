"""The file of an SQLite database as a target."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.compression import decompressing
from fraisier_deployers.backup.dumping import BackupSource
from fraisier_deployers.backup.local_place import sync_folder
from fraisier_deployers.backup.manifest import Manifest, SqliteFacts
from fraisier_deployers.backup.pipeline import Pipeline
from fraisier_deployers.backup.pipelines import captured, python, run_pipeline
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.sources.sqlite_source import SqliteSource
from fraisier_deployers.backup.targets import row_differences

VARIABLE = "FRAISIER_RESTORED"
_MODULE = "fraisier_deployers.backup.sources.sqlite_copying"
_COMPANIONS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class SqliteTarget:
    """A file, which need not exist.

    Args:
        path: of the file.
        runner: runs the commands.
    """

    path: Path
    runner: Runner

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.path)

    def is_vacant(self) -> bool:
        """Whether there is no such file, or an empty one."""
        return not self.path.exists() or (self.path.is_file() and self.path.stat().st_size == 0)

    def source(self) -> BackupSource:
        """Return it as a source."""
        return SqliteSource(self.path)

    def restore(self, file: Path, manifest: Manifest, work: Path) -> None:  # noqa: ARG002 - beside the target
        """Decompress and check a copy beside the target, whose place it takes then."""
        stages = decompressing(file.name)
        partial = self.path.with_name(f".{self.path.name}.restoring")
        try:
            run_pipeline(self.runner, Pipeline(str(file), after=stages, output=str(partial)))
            if differences := self._differences(partial, manifest):
                raise BackupError(f"{self.path} was left as it is: {'; '.join(differences)}")
            self._put(partial, _facts(manifest).mode)
        finally:
            partial.unlink(missing_ok=True)

    def replace(self, file: Path, manifest: Manifest, work: Path) -> None:
        """Restore a copy, and delete what belongs to the database that was there."""
        self.restore(file, manifest, work)

    def differences(self, manifest: Manifest) -> list[str]:
        """Return the tables whose rows are not as many as in the copy."""
        return self._differences(self.path, manifest)

    def variables(self) -> Mapping[str, str]:
        """Return its path."""
        return {VARIABLE: str(self.path)}

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)

    def _differences(self, path: Path, manifest: Manifest) -> list[str]:
        counted = json.loads(captured(self.runner, python(_MODULE, str(path))))
        return row_differences(_facts(manifest).tables, counted["tables"])

    def _put(self, partial: Path, mode: int) -> None:
        try:
            partial.chmod(mode)
            if os.geteuid() == 0:
                owner = (self.path if self.path.exists() else self.path.parent).stat()
                os.chown(partial, owner.st_uid, owner.st_gid)
            for suffix in _COMPANIONS:  # they would be taken for those of the restored database
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            partial.rename(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise BackupError(f"{error.filename}: {error.strerror}") from error


def _facts(manifest: Manifest) -> SqliteFacts:
    if not isinstance(manifest.facts, SqliteFacts):
        raise BackupError(f"{manifest.name} is of {manifest.source}, not of SQLite")
    return manifest.facts

"""The file of an SQLite database as a target."""

from __future__ import annotations

import glob
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from fraisier_core import sync_directory

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.compression import decompressing
from fraisier_deployers.backup.dumping import BackupSource
from fraisier_deployers.backup.manifest import Manifest, SqliteFacts
from fraisier_deployers.backup.pipeline import Pipeline
from fraisier_deployers.backup.pipelines import captured, python, run_pipeline
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.sources.sqlite_source import SqliteSource
from fraisier_deployers.backup.targets import LEFT, LEFT_ALONE, row_differences

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

    @property
    def _file(self) -> Path:
        return Path(
            os.path.realpath(self.path)
        )  # what lies beside it is called as the file is, not as a link

    def is_vacant(self) -> bool:
        """Whether there is no such file, or an empty one."""
        return not self.path.exists() or (self.path.is_file() and self.path.stat().st_size == 0)

    def require_replaceable(self, manifest: Manifest) -> None:
        """A file can always be replaced."""

    def source(self) -> BackupSource:
        """Return it as a source."""
        return SqliteSource(self.path)

    def leftovers(self) -> Sequence[str]:
        """Return the files beside it that restores left, and those that it replaced."""
        name = glob.escape(self._file.name)
        patterns = {LEFT: f".{name}.*.restoring", LEFT_ALONE: f"{name}.replaced-*"}
        found = {text: sorted(map(str, self._file.parent.glob(each))) for text, each in patterns.items()}
        return [text.format(files[0], shlex.join(["rm", *files])) for text, files in found.items() if files]

    def restore(self, file: Path, manifest: Manifest, work: Path) -> None:  # noqa: ARG002 - beside the target
        """Decompress and check a copy beside the target, whose place it takes then."""
        stages = decompressing(file.name)
        partial = self._file.with_name(f".{self._file.name}.{uuid4().hex[:8]}.restoring")
        try:
            run_pipeline(self.runner, Pipeline(str(file), after=stages, output=str(partial)))
            if differences := self._differences(partial, manifest):
                raise BackupError(f"{self.path} was left as it is: {'; '.join(differences)}")
            self._put(partial, _facts(manifest).mode)
        finally:
            partial.unlink(missing_ok=True)

    def replace(self, file: Path, manifest: Manifest, work: Path) -> None:
        """Restore a copy; the database that was there is kept under another name."""
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
            _permit(partial, mode, self._file)
            self._set_aside()
            partial.rename(self._file)
            sync_directory(self._file.parent)
        except OSError as error:
            raise BackupError(f"{error.filename}: {error.strerror}") from error

    def _set_aside(self) -> None:
        """Keep what is there, with what belongs to it, as what has it open goes on writing into it. The
        files beside it would be taken for those of the restored database.
        """
        aside = f"{self._file}.replaced-{uuid4().hex[:8]}"
        if not self.is_vacant():
            os.link(self._file, aside)
            self.runner.note(f"what was in {self._file} is kept as {aside}, until you delete it")
        for suffix in _COMPANIONS:
            with suppress(FileNotFoundError):
                Path(f"{self._file}{suffix}").rename(f"{aside}{suffix}")


def _permit(file: Path, mode: int, path: Path) -> None:
    """Give a file its mode, and as root the owner of what it replaces. No link is followed: others may write
    in its folder.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.geteuid() == 0:
            owner = (path if path.exists() else path.parent).stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _facts(manifest: Manifest) -> SqliteFacts:
    if not isinstance(manifest.facts, SqliteFacts):
        raise BackupError(f"{manifest.name} is of {manifest.source}, not of SQLite")
    return manifest.facts

"""SQLite as a source: a copy by the online backup API, compressed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.compression import compressing
from fraisier_deployers.backup.dumping import Dumped, Sink
from fraisier_deployers.backup.manifest import SqliteFacts
from fraisier_deployers.backup.pipelines import python, run_pipeline, run_tool
from fraisier_deployers.backup.places import Runner

_MODULE = "fraisier_deployers.backup.sources.sqlite_copying"


@dataclass(frozen=True, slots=True)
class SqliteSource:
    """A database as what is backed up.

    Args:
        path: its file.
        suffix: `.sqlite` leaves the copy as it is.
    """

    path: Path
    suffix: str = ".sqlite.zst"

    def dump(self, runner: Runner, work: Path, sink: Sink) -> Dumped:
        """Copy the database, also while it is written, and compress the copy. Raises `BackupError`."""
        stages = compressing(self.suffix)
        copy, facts_file = work / "copy", work / "facts"
        mode = _mode(self.path)
        try:
            run_tool(runner, python(_MODULE, str(self.path), str(copy), str(facts_file)))
            flowed = run_pipeline(runner, sink.fed_by(*stages, input=copy))
        finally:
            copy.unlink(missing_ok=True)
        tables = json.loads(facts_file.read_text())["tables"]
        return Dumped(flowed.size, flowed.sha256, SqliteFacts(path=str(self.path), mode=mode, tables=tables))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from error

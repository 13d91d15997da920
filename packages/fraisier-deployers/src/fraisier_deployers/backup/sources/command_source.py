"""A command as a source: any other database, or whatever else prints its backup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.dumping import Dumped, Sink
from fraisier_deployers.backup.manifest import CommandFacts
from fraisier_deployers.backup.pipeline import Stage
from fraisier_deployers.backup.pipelines import run_pipeline
from fraisier_deployers.backup.places import Runner


@dataclass(frozen=True, slots=True)
class CommandSource:
    """A command that prints what is backed up.

    Args:
        argv: the program and its arguments.
    """

    argv: Sequence[str]
    suffix: str = ".bin"

    def dump(self, runner: Runner, work: Path, sink: Sink) -> Dumped:  # noqa: ARG002 - it needs no folder
        """Run the command. Raises `BackupError`."""
        flowed = run_pipeline(runner, sink.fed_by(Stage(tuple(self.argv))))
        if flowed.size == 0:
            raise BackupError(f"{self.argv[0]} printed nothing: that is no backup")
        return Dumped(flowed.size, flowed.sha256, CommandFacts())

"""Whatever a command of the user's restores into, as a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupRefusedError
from fraisier_deployers.backup.backup_settings import TARGET
from fraisier_deployers.backup.dumping import BackupSource
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.pipelines import run_pipeline, run_tool
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.sources.sqlite_target import VARIABLE


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """Something of a name that the commands understand, such as a database. Whether it is vacant is for the
    command to say, which must fail if it is not.

    Args:
        name: of the target.
        restoring: the command that reads a backup.
        dropping: the command that removes a scratch target.
        runner: runs the commands.
    """

    name: str
    restoring: Sequence[str]
    dropping: Sequence[str] | None
    runner: Runner

    def is_vacant(self) -> bool:
        """Whether nothing is there: taken for granted."""
        return True

    def require_replaceable(self, manifest: Manifest) -> None:  # noqa: ARG002 - it is the same for all
        """Raise `BackupRefusedError`: what cannot be backed up is not replaced."""
        self.source()

    def source(self) -> BackupSource:
        """Raise `BackupRefusedError`: a command that backs up one thing cannot back up another."""
        raise BackupRefusedError(
            f"--replace is not for what source.restore restores: {self.name} cannot be backed up first; "
            "remove or rename it yourself"
        )

    def leftovers(self) -> Sequence[str]:
        """Return nothing: none of it is known."""
        return ()

    def restore(self, file: Path, manifest: Manifest, work: Path) -> None:  # noqa: ARG002 - it needs neither
        """Have the command read a file."""
        self.runner.note(f"whether {self.name} is empty is for {self.restoring[0]} to see")
        stage = Stage(self._filled(self.restoring))
        run_pipeline(self.runner, Pipeline(str(file), after=(stage,)))

    def replace(self, file: Path, manifest: Manifest, work: Path) -> None:
        """Have the command read a file."""
        self.restore(file, manifest, work)

    def differences(self, manifest: Manifest) -> list[str]:  # noqa: ARG002 - nothing is known of it
        """Return nothing, and say so: a command of the user's has to tell."""
        self.runner.note(f"what is in {self.name} was not compared: only a command of yours knows what it is")
        return []

    def variables(self) -> Mapping[str, str]:
        """Return its name."""
        return {VARIABLE: self.name}

    def remove(self) -> None:
        """Run the command that drops it."""
        run_tool(self.runner, self._filled(self.dropping or ("true",)))

    def _filled(self, argv: Sequence[str]) -> tuple[str, ...]:
        return tuple(argument.replace(TARGET, self.name) for argument in argv)

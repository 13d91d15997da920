"""What every source has in common: it is dumped into a pipeline, and says what it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fraisier_deployers.backup.manifest import Facts
from fraisier_deployers.backup.pipeline import Pipeline, Stage
from fraisier_deployers.backup.places import Runner


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a dump goes.

    Args:
        output: the new file that it is written to.
        after: commands that read it instead, such as `restic backup --stdin`.
    """

    output: Path | None = None
    after: tuple[Stage, ...] = ()

    def fed_by(self, *stages: Stage, input: Path | None = None) -> Pipeline:  # noqa: A002
        """Return the pipeline of a dump: what the last of some commands prints goes here."""
        output = str(self.output) if self.output else None
        return Pipeline(str(input) if input else None, stages, self.after, output)


@dataclass(frozen=True, slots=True)
class Dumped:
    """A dump that was written.

    Args:
        size: in bytes.
        sha256: of its bytes.
        facts: what it is of.
    """

    size: int
    sha256: str
    facts: Facts


class BackupSource(Protocol):
    """What can be backed up."""

    @property
    def suffix(self) -> str:
        """What the name of a dump's file ends with, such as `.dump`."""

    def dump(self, runner: Runner, work: Path, sink: Sink) -> Dumped:
        """Dump it. Raises `BackupError`.

        Args:
            runner: runs the commands.
            work: an empty folder for files that are needed meanwhile.
            sink: where the dump goes.
        """

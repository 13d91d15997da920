"""Running commands with variables that others need not know."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fraisier_core import CommandResult

from fraisier_deployers.backup.places import Runner


@dataclass(frozen=True, slots=True)
class WithVariables:
    """Runs commands with variables beside those that they are given.

    Args:
        runner: runs them.
        variables: of all of them; they may be secret.
    """

    runner: Runner
    variables: Mapping[str, str]

    def command(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> CommandResult:
        """Run a command, as `Runner` says."""
        return self.runner.command(argv, cwd=cwd, env={**self.variables, **(env or {})}, check=check)

    def note(self, text: str) -> None:
        """Say a line to whoever follows."""
        self.runner.note(text)

"""The module of a fraise type whose backups do not say what they stored."""

from __future__ import annotations

from fraisier_core import Run, hookimpl

from tests.toy_backup import ToyBackupSettings


@hookimpl
def settings() -> type[ToyBackupSettings]:
    return ToyBackupSettings


@hookimpl
def back_up(run: Run[ToyBackupSettings]) -> None:
    run.command(["cat", run.settings.source])

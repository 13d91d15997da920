"""The fraise type `backup`: the hooks of the plugin."""

from __future__ import annotations

from collections.abc import Mapping

from fraisier_core import BackupContext, KeptBackups, Run, hookimpl

from fraisier_deployers.backup.backing_up import make_backup
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.kept_copies import KeptCopies
from fraisier_deployers.backup.lacking import lacking
from fraisier_deployers.backup.primary import working_place
from fraisier_deployers.backup.restore_testing import run_restore_test


@hookimpl
def settings() -> type[BackupSettings]:
    """Return the model of the environment's section."""
    return BackupSettings


@hookimpl
def back_up(run: Run[BackupSettings]) -> None:
    """Make a backup."""
    make_backup(run, working_place(run.settings, run.folder))


@hookimpl
def test_restore(run: Run[BackupSettings]) -> None:
    """Restore the newest backup as a test."""
    run_restore_test(run, working_place(run.settings, run.folder))


@hookimpl
def backups(settings: BackupSettings, context: BackupContext) -> KeptBackups:
    """Return the backups of an environment."""
    return KeptCopies(settings, context)


@hookimpl
def warnings(settings: BackupSettings) -> Mapping[str, str]:
    """Return what is missing on this host."""
    return lacking(settings)

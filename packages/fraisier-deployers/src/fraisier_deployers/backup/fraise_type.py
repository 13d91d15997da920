"""The fraise type `backup`: the hooks of the plugin."""

from __future__ import annotations

from fraisier_core import Run, hookimpl

from fraisier_deployers.backup.backing_up import make_backup
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.restore_testing import run_restore_test
from fraisier_deployers.backup.restoring import require_folder


@hookimpl
def settings() -> type[BackupSettings]:
    """Return the model of the environment's section."""
    return BackupSettings


@hookimpl
def back_up(run: Run[BackupSettings]) -> None:
    """Make a backup."""
    make_backup(run, require_folder(run.settings))


@hookimpl
def test_restore(run: Run[BackupSettings]) -> None:
    """Restore the newest backup as a test."""
    run_restore_test(run, require_folder(run.settings))

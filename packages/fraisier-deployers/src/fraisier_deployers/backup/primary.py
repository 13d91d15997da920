"""Where a backup is stored first: the folder on this host, or a repository of restic."""

from __future__ import annotations

from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.places import Runner
from fraisier_deployers.backup.restic import ResticPlace


def working_place(settings: BackupSettings, otherwise: Path) -> Path:
    """Return the folder of this host where what is needed meanwhile lies. Raises `BackupError`.

    Args:
        settings: of the environment.
        otherwise: the folder, which is made, if no copies lie on this host.
    """
    if settings.path is not None:
        return settings.path
    try:
        otherwise.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BackupError(f"{error.filename}: {error.strerror}") from error
    return otherwise


def primary_place(settings: BackupSettings, folder: Path, runner: Runner) -> LocalPlace | ResticPlace:
    """Return where a backup is stored first.

    Args:
        settings: of the environment.
        folder: as `working_place` returns it.
        runner: runs the commands.
    """
    if settings.restic is None:
        return LocalPlace(folder, runner)
    section = settings.restic
    return ResticPlace(section.repository, section.password, runner, folder / "manifests")

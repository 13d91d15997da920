"""Restoring a backup: into a new or empty target, or in place of another, which is backed up first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from fraisier_deployers.backup.backing_up import dumped
from fraisier_deployers.backup.backup_errors import BackupError, BackupRefusedError
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.copies import fetched
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.making import Making
from fraisier_deployers.backup.manifest import Manifest, backup_name
from fraisier_deployers.backup.places import Place, Runner
from fraisier_deployers.backup.sources.chosen import chosen_target
from fraisier_deployers.backup.targets import RestoreTarget
from fraisier_deployers.backup.verified_copies import verify
from fraisier_deployers.backup.working_folder import exclusive, working_folder

REPLACED = "replaced"
"""The folder beside the copies where what is replaced is backed up; nothing there is ever pruned."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Args:
        name: of the backup.
        target: what it was restored into.
        replaced: the file of the backup of what was there, None if nothing was.
    """

    name: str
    target: str
    replaced: Path | None = None


def restore(
    settings: BackupSettings,
    manifest: Manifest,
    place: Place,
    target: str,
    *,
    runner: Runner,
    folder: Path,
    replace: str | None = None,
    begin: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Restore a backup, and compare. Raises `BackupError`: a `BackupRefusedError` if nothing was begun.

    Args:
        settings: of the environment.
        manifest: of the copy to restore.
        place: where the copy lies.
        target: a database's name or URL, or the path of a file or folder.
        runner: runs the commands.
        folder: where the copies on this host lie, or with restic what is needed meanwhile; what is replaced
            is backed up there.
        replace: the name of the target, if what is there may be replaced.
        begin: is called with what is restored into what, before anything changes.
    """
    into = chosen_target(settings.source, manifest, target, runner)
    require_replaceable(into, manifest, replace)
    names = manifest.fraise, manifest.environment
    name = backup_name(*names, datetime.now(UTC), uuid4().hex)
    with exclusive(folder, *names), working_folder(folder, name) as work:
        file = fetched(place, manifest, settings.encrypt, folder=work, runner=runner)
        require_replaceable(into, manifest, replace)
        for line in into.leftovers():
            runner.note(line)
        replaced, is_vacant = None, into.is_vacant()
        place_of = "" if is_vacant else " in place of what is there"
        begin(f"{manifest.name} from {place.name} into {into.name}{place_of}")
        if is_vacant:
            into.restore(file, manifest, work)
        else:
            replaced = _backed_up(into, manifest, folder, runner)
            _replaced(into, manifest, file, work, replaced)
        restored = Restored(manifest.name, into.name, replaced)
    if differences := into.differences(manifest):
        raise BackupError(f"{manifest.name} was restored, but is not what it was: {'; '.join(differences)}")
    return restored


def require_replaceable(target: RestoreTarget, manifest: Manifest, replace: str | None) -> None:
    """Raise `BackupRefusedError` unless a target is vacant, or named once more and can be replaced."""
    if replace is not None:
        if replace != target.name:
            raise BackupRefusedError(
                f"--replace {replace} is not the name of the target, {target.name}: nothing changed"
            )
        target.require_replaceable(manifest)
    elif not target.is_vacant():
        how = f"name a new or empty target, or add --replace {target.name}, which backs it up first"
        raise BackupRefusedError(f"{target.name} is not empty: {how}")


def _replaced(target: RestoreTarget, manifest: Manifest, file: Path, work: Path, replaced: Path) -> None:
    try:
        target.replace(file, manifest, work)
    except BackupError as error:
        raise BackupError(f"{error}; what was to be replaced is backed up as {replaced}") from error


def _backed_up(target: RestoreTarget, manifest: Manifest, folder: Path, runner: Runner) -> Path:
    """Back up what will be replaced, apart from other backups, and return the file."""
    now = datetime.now(UTC)
    making = Making(manifest.fraise, manifest.environment, uuid4().hex, None, now, manifest.installation)
    place = LocalPlace(folder / REPLACED, runner)
    with (
        exclusive(place.folder, making.fraise, making.environment),
        working_folder(place.folder, making.name) as work,
    ):
        file, made = dumped(making, target.source(), runner, work)
        place.put(file, made)
        verify(place, made)
    runner.note(f"what is replaced is backed up as {place.folder / made.file}")
    return place.folder / made.file

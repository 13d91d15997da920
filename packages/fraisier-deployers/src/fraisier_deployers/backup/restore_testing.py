"""Restore tests: the newest backup is restored into a scratch target, compared and checked."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fraisier_core import CommandFailedError, Run, Stored

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_installation import Installation
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.copies import fetched
from fraisier_deployers.backup.known_backups import NOT_ON_RECORD, KnownBackups
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.manifest import Manifest, backup_name
from fraisier_deployers.backup.newest import TO_COME, newest
from fraisier_deployers.backup.places import Place
from fraisier_deployers.backup.primary import primary_place
from fraisier_deployers.backup.remotes.configured import remote_places
from fraisier_deployers.backup.scratch_names import is_scratch_of, scratch_name
from fraisier_deployers.backup.sources.chosen import database_of, scratch_target
from fraisier_deployers.backup.sources.postgres_database import PostgresDatabase
from fraisier_deployers.backup.sources.postgres_target import PostgresTarget, origin_differences
from fraisier_deployers.backup.targets import RestoreTarget
from fraisier_deployers.backup.verified_copies import verify
from fraisier_deployers.backup.working_folder import exclusive, working_folder


def run_restore_test(run: Run[BackupSettings], folder: Path) -> None:
    """Restore the newest backup as a test. Raises `BackupError` if it is not what was backed up.

    Args:
        run: the run that tests it.
        folder: where the copies on this host lie, or with restic what is needed meanwhile.
    """
    names = run.fraise, run.environment
    name = backup_name(*names, datetime.now(UTC), run.deployment_id)
    with exclusive(folder, *names), working_folder(folder, name) as work:
        places = _places(run, folder)
        place = next(each for each in places if each.name == run.settings.tested_place)
        with run.step("verify_copy"):
            manifest = _newest(run, place)
            _require_known(run, places[0], place, manifest)
            made = f"{manifest.created_at:%Y-%m-%d %H:%M} UTC"
            run.note(f"{manifest.name} of {made}, from {place.destination}")
            file = _verified(run, place, manifest, work)
        with run.step("compare_origin"):
            _require(manifest, "is not of this source", _origin_differences(run, file, manifest))
        with _scratch(run, manifest, work) as target:
            with run.step("restore"):
                target.restore(file, manifest, work)
            with run.step("compare"):
                _require(manifest, "was restored, but is not what it was", target.differences(manifest))
                run.note(manifest.facts.compared)
            _check(run, target)
    run.record_stored(Stored(manifest.name, manifest.size, manifest.sha256, place.destination))


def _places(run: Run[BackupSettings], folder: Path) -> list[Place]:
    first: Place = primary_place(run.settings, folder, run)
    return [first, *remote_places(run.settings, run, run.folder)]


def _newest(run: Run[BackupSettings], place: Place) -> Manifest:
    listing, now = place.manifests().of(run.fraise, run.environment), datetime.now(UTC)
    installation = Installation(run.folder)
    installation.require_filled(place, listing)
    listing = listing.by(installation.id)
    found = newest(listing, now)
    if found is None:
        raise BackupError(
            f"there is no backup of this installation's in {place.destination}: run fraisier backup first"
        )
    for each in listing.manifests:
        if each.created_at > now:
            run.note(f"{each.name} is passed over: {TO_COME}")
    recorded = run.newest_stored.name if run.newest_stored else found.name
    if recorded != found.name and _made_at(recorded) >= _made_at(found.name):
        raise BackupError(
            f"{found.name} is the newest backup in {place.destination}, but a newer one is on record, "
            f"{recorded}: look what became of it there, or run fraisier backup"
        )
    return found


def _require_known(run: Run[BackupSettings], first: Place, place: Place, manifest: Manifest) -> None:
    """Raise `BackupError` unless a copy is of what was backed up: what it holds may run as code."""
    stored = run.newest_stored
    recorded = {stored.name: stored.sha256} if stored else {}
    known = KnownBackups.of(first, run.settings.encrypt, recorded.get)
    if not known.knows(place, manifest) and place is not first:
        raise BackupError(
            f"{manifest.name} at {place.destination} {NOT_ON_RECORD}: a restore test would prove nothing; "
            "run fraisier backup"
        )


def _verified(run: Run[BackupSettings], place: Place, manifest: Manifest, work: Path) -> Path:
    """Return the file of a copy, which is read once: where it lies on this host, or once it was brought."""
    if not isinstance(place, LocalPlace):
        return fetched(place, manifest, run.settings.encrypt, folder=work, runner=run)
    verify(place, manifest)
    return place.fetch(manifest, work)


def _made_at(name: str) -> str:
    """Return what of the name of a backup sorts by time, to the second."""
    return name.rpartition("-")[0]


def _require(manifest: Manifest, what: str, differences: list[str]) -> None:
    if differences:
        raise BackupError(f"{manifest.name} {what}: {'; '.join(differences)}")


def _origin_differences(run: Run[BackupSettings], file: Path, manifest: Manifest) -> list[str]:
    section = run.settings.source
    if section.postgresql is not None:
        return origin_differences(database_of(section, run), file, manifest)
    if section.sqlite is not None:
        return _other_paths(manifest, [str(section.sqlite)])
    if section.folders is not None:
        return _other_paths(manifest, [str(path) for path in section.folders])
    return []


def _other_paths(manifest: Manifest, expected: list[str]) -> list[str]:
    facts = manifest.facts.model_dump()
    found = [facts["path"]] if "path" in facts else list(facts.get("paths", ()))
    return [] if found == expected else [f"it is of {', '.join(found)}, not of {', '.join(expected)}"]


@contextmanager
def _scratch(run: Run[BackupSettings], manifest: Manifest, work: Path) -> Iterator[RestoreTarget]:
    """Yield a new target of a name of ours, which is removed at the end, as are leftovers of killed tests."""
    test = run.settings.restore_test
    server = test.target.get_secret_value() if test and test.target else None
    owner = Installation(run.folder).id
    name = scratch_name(owner)
    target = scratch_target(run.settings.source, manifest, name, folder=work, server=server, runner=run)
    if isinstance(target, PostgresTarget):
        mark = f"restore test of {run.fraise} {run.environment} on {socket.gethostname()}"
        target = replace(target, scratch=mark)
        _drop_leftovers(run, target.database, owner)
    with ExitStack() as undoing:
        undoing.callback(_remove, run, target)
        yield target
        undoing.pop_all()
    with run.step("remove"):
        target.remove()


def _remove(run: Run[BackupSettings], target: RestoreTarget) -> None:
    """Remove a target, and only say if that fails: what failed before is what matters."""
    try:
        with run.step("remove"):
            target.remove()
    except (BackupError, CommandFailedError) as error:
        run.note(f"{target.name} cannot be removed, and is left for the next test: {error}")


def _drop_leftovers(run: Run[BackupSettings], database: PostgresDatabase, owner: str) -> None:
    """Drop what earlier tests of this environment left, which were killed."""
    with run.step("remove_leftovers"):
        for name in database.descriptions():
            if is_scratch_of(owner, name):
                run.note(f"{name} is left by a test that was killed: it is dropped")
                database.named(name).drop()


def _check(run: Run[BackupSettings], target: RestoreTarget) -> None:
    test = run.settings.restore_test
    if test is None or test.check is None:
        return
    with run.step("check"):
        run.command(test.check, env=target.variables())

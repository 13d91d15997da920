"""Making a backup: dumped, stored here and elsewhere, verified where it lies, recorded, pruned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fraisier_core import CommandFailedError, Run, Stored

from fraisier_deployers.backup.backup_errors import BackupError, DamagedCopyError
from fraisier_deployers.backup.backup_installation import Installation
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.copies import copy
from fraisier_deployers.backup.discreet_restic import ABSENT
from fraisier_deployers.backup.dumping import BackupSource, Sink
from fraisier_deployers.backup.encrypting import require_encryption
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.making import Making
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.places import Listing, Place, Runner
from fraisier_deployers.backup.primary import primary_place
from fraisier_deployers.backup.pruning import Plan, Policy, plan
from fraisier_deployers.backup.remotes.configured import remote_places
from fraisier_deployers.backup.restic import ResticPlace
from fraisier_deployers.backup.sources.chosen import chosen_source
from fraisier_deployers.backup.verified_copies import verify
from fraisier_deployers.backup.working_folder import exclusive, working_folder

Copy = tuple[Place, Manifest]
Verified = tuple[Place, Manifest, Listing]
Clock = Callable[[], datetime]


def utc_clock() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


def make_backup(run: Run[BackupSettings], folder: Path, clock: Clock = utc_clock) -> None:
    """Make a backup, and prune what is no longer kept; that a place cannot be pruned is recorded, and no
    failure. Raises `BackupError`: then nothing is pruned.

    Args:
        run: the run that makes it.
        folder: where the copies on this host lie, or with restic what is needed meanwhile.
        clock: says when it begins, and what is old.
    """
    if run.settings.encrypt is not None:
        require_encryption(run.settings.encrypt)
    asked, installation = (run.deployment_id, run.requested_for), Installation(run.folder)
    making = Making(run.fraise, run.environment, *asked, clock(), installation.id)
    with exclusive(folder, run.fraise, run.environment), working_folder(folder, making.name) as work:
        first = primary_place(run.settings, folder, run)
        copies: list[Copy] = [(first, _stored(run, making, first, work))]
        failures = _copied(run, copies, work)
        verified = _verified(run, copies, failures)
        if failures:
            raise BackupError("; ".join(failures))
        run.record_stored(stored := _record(copies))
        if problems := [*_remember(run, installation, copies), *_prune(run, verified, clock())]:
            run.record_stored(replace(stored, problem="; ".join(problems)))


def dumped(making: Making, source: BackupSource, runner: Runner, work: Path) -> tuple[Path, Manifest]:
    """Dump a source, and return the file and its manifest. Raises `BackupError`."""
    file = f"{making.name}{source.suffix}"
    made = source.dump(runner, work, Sink(work / file))
    return work / file, making.manifest(file, made)


def _stored(
    run: Run[BackupSettings], making: Making, place: LocalPlace | ResticPlace, work: Path
) -> Manifest:
    if isinstance(place, ResticPlace):
        return _in_repository(run, making, place, work)
    with run.step("dump"):
        before = _listed(run, place)
        file, manifest = dumped(making, chosen_source(run.settings.source), run, work)
    with run.step("store"):
        _require_content(before, place, manifest)
        place.put(file, manifest)
        run.note(f"{manifest.file} in {place.destination}")
        for name in place.orphans():
            run.note(f"{name} has no manifest: it is no backup, and is left alone")
    return manifest


def _in_repository(run: Run[BackupSettings], making: Making, place: ResticPlace, work: Path) -> Manifest:
    """Dump into the repository at once, without a file on this host."""
    source = chosen_source(run.settings.source, compressed=False)
    file = f"{making.name}{source.suffix}"
    with run.step("prepare"):
        before = _prepared(run, place)
        place.forget_unfinished(making)
    with run.step("dump"):
        manifest = making.manifest(file, place.receive(source, file, making, work))
    with run.step("store"):
        _require_content(before, place, manifest)
        place.put_manifest(manifest)
    return manifest


def _prepared(run: Run[BackupSettings], place: ResticPlace) -> Listing:
    """Return what a repository holds of the environment; one is made if nothing was ever stored there."""
    installation = Installation(run.folder)
    begun = installation.newest_at(place) is not None
    try:
        listing = place.prepare(make=not begun).of(run.fraise, run.environment)
    except BackupError as error:
        if not (begun and f"({ABSENT})" in str(error)):
            raise
        raise BackupError(f"{error}. {installation.forgetting(place)}") from error
    installation.require_filled(place, listing)
    return listing


def _listed(run: Run[BackupSettings], place: Place) -> Listing:
    """Return what a place holds of the environment. Raises `BackupError` if something was stored there, and
    nothing is there now.
    """
    listing = place.manifests().of(run.fraise, run.environment)
    Installation(run.folder).require_filled(place, listing)
    return listing


def _require_content(listing: Listing, place: Place, manifest: Manifest) -> None:
    """Raise `BackupError` if nothing was dumped, and something was before: a disk is not mounted, perhaps,
    and with every such backup a good one would be pruned.
    """
    before = listing.by(manifest.installation).manifests
    if before and before[-1].facts.has_content and not manifest.facts.has_content:
        raise BackupError(
            f"nothing is in what was dumped, and {before[-1].name} has something: look what became of it. "
            f"If that is right, take the earlier backups out of {place.destination} first"
        )


def _copied(run: Run[BackupSettings], copies: list[Copy], work: Path) -> list[str]:
    """Copy what lies here to the places elsewhere, and return what failed: one that is away keeps none of the
    others from its copy.
    """
    settings, (local, manifest) = run.settings, copies[0]
    failures = []
    for place in remote_places(settings, run, run.folder):
        try:
            with run.step(f"copy_{place.name}"):
                if Installation(run.folder).newest_at(place) is not None:
                    _listed(run, place)
                file = local.fetch(manifest, work)
                copies.append((place, copy(place, file, manifest, settings.encrypt, folder=work, runner=run)))
        except (BackupError, CommandFailedError) as error:
            failures.append(f"{place.name}: {error}")
    return failures


def _verified(run: Run[BackupSettings], copies: list[Copy], failures: list[str]) -> list[Verified]:
    """Verify all copies, and return what their places list; why some are not known to be good is added to the
    failures. Only those are deleted that were read and are damaged: what cannot be read now may be the last.
    """
    verified = []
    for place, manifest in copies:
        try:
            with run.step(f"verify_{place.name}"):
                listing = verify(place, manifest)
                if isinstance(place, ResticPlace):
                    place.check()
                verified.append((place, manifest, listing))
        except DamagedCopyError as error:
            failures.append(f"{place.name}: {error}")
            _delete_bad(run, place, manifest)
        except (BackupError, CommandFailedError) as error:
            failures.append(f"{place.name}: {manifest.name} stays, and is not verified: {error}")
    return verified


def _delete_bad(run: Run[BackupSettings], place: Place, manifest: Manifest) -> None:
    try:
        place.delete(manifest)
    except (BackupError, CommandFailedError) as error:
        run.note(f"{manifest.name} at {place.destination} is not good, and cannot be deleted: {error}")


def _remember(run: Run[BackupSettings], installation: Installation, copies: list[Copy]) -> list[str]:
    """Remember where a backup is stored, and return why that cannot be: it is a good one nevertheless."""
    problems = []
    for place, manifest in copies:
        try:
            installation.remember(place, manifest.name)
        except BackupError as error:
            problems.append(f"{place.name}: it is not remembered that a backup is there: {error}")
            run.note(problems[-1])
    return problems


def _record(copies: list[Copy]) -> Stored:
    manifest = copies[0][1]
    places = ", ".join(place.destination for place, _ in copies)
    return Stored(manifest.name, manifest.size, manifest.sha256, places)


def _prune(run: Run[BackupSettings], copies: list[Verified], now: datetime) -> list[str]:
    """Prune the places, and return why some are not pruned."""
    problems = []
    policy = Policy.of(run.fraise, run.environment, run.settings, Installation(run.folder).id)
    with run.step("prune"):
        for place, manifest, listing in copies:
            try:
                planned = plan(place, policy, now, listed=listing, verified=manifest.name)
                problem = _prune_place(run, planned)
            except (BackupError, CommandFailedError) as error:
                problem = f"is not pruned: {error}"
            if problem is not None:
                problems.append(f"{place.name} {problem}")
                run.note(problems[-1])
    return problems


def _prune_place(run: Run[BackupSettings], planned: Plan) -> str | None:
    """Prune a place, and return what became of it if not all did that should."""
    for line in planned.lines():
        run.note(line)
    if planned.refusal is not None:
        return f"is not pruned: {planned.refusal}"
    done = planned.execute()
    undeleted = [f"{name} cannot be deleted: {why}" for name, why in done.undeleted.items()]
    problems = [*undeleted, *([done.problem] if done.problem else [])]
    return f"is not pruned in full: {'; '.join(problems)}" if problems else None

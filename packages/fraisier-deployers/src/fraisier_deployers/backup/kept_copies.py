"""The backups of one environment, as the commands of backups use them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fraisier_core import (
    BackupContext,
    BackupCopy,
    CommandFailedError,
    KeptBackups,
    ListedPlace,
    PrunedPlace,
    RestoredBackup,
    UnknownNameError,
    VerifiedCopy,
)

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_installation import Installation
from fraisier_deployers.backup.backup_settings import BackupSettings
from fraisier_deployers.backup.choosing import chosen_copy, matching
from fraisier_deployers.backup.known_backups import NOT_ON_RECORD, KnownBackups
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.places import Listing, Place
from fraisier_deployers.backup.primary import primary_place, working_place
from fraisier_deployers.backup.pruning import Plan, Policy, Pruned, plan, reasons_to_keep
from fraisier_deployers.backup.remotes.configured import remote_places
from fraisier_deployers.backup.remotes.noted_place import NotedPlace
from fraisier_deployers.backup.restic import ResticPlace
from fraisier_deployers.backup.restoring import REPLACED, restore
from fraisier_deployers.backup.sources.chosen import origin_of, origin_target
from fraisier_deployers.backup.targets import LEFT_ALONE
from fraisier_deployers.backup.verified_copies import verified
from fraisier_deployers.backup.working_folder import exclusive

_PROBLEMS = (BackupError, CommandFailedError)


@dataclass(frozen=True, slots=True)
class KeptCopies(KeptBackups):
    """The copies of an environment's backups at all of its places.

    Args:
        settings: of the environment.
        context: whose they are, and what runs the commands.
    """

    settings: BackupSettings
    context: BackupContext

    def places(self) -> Sequence[str]:
        """Return the names of the places."""
        return [place.name for place in self._places()]

    def names(self) -> Sequence[str]:
        """Return the names of the backups that lie on this host."""
        first = self._places()[0]
        listing = self._own(first) if isinstance(first, LocalPlace) else Listing()
        return [manifest.name for manifest in reversed(listing.manifests)]

    def listings(self) -> Iterator[ListedPlace]:
        """Yield what each place holds."""
        for place in self._places():
            try:
                yield self._listed(place, self._own(place))
            except _PROBLEMS as error:
                yield ListedPlace(place.name, place.destination, problem=str(error))

    def origin(self) -> str | None:
        """Return the name of the database, or the path, that is backed up."""
        return origin_of(self.settings.source, self.context)

    def verify(self, name: str | None, place: str | None) -> Iterator[VerifiedCopy]:
        """Verify copies, oldest first. Raises `UnknownNameError` if no place lists what is named."""
        count = 0
        known = self._known()
        for each in self._named_places(place):
            for found in self._verified(each, name, known):
                count += 1
                yield found
        if not count:
            raise UnknownNameError(self._no_such_backup(name))

    def restore(
        self, name: str | None, target: str, *, place: str | None, replace: str | None
    ) -> RestoredBackup:
        """Restore a backup."""
        chosen, manifest = chosen_copy(self._named_places(place), self._own, name, self.context.note)
        self.context.note(f"{manifest.name} from {chosen.destination}")
        self._require_known(self._known(), chosen, manifest)
        done = restore(
            self.settings,
            manifest,
            chosen,
            target,
            runner=self.context,
            folder=self._folder,
            replace=replace,
            begin=lambda what: self.context.audit("restore", what),
        )
        return RestoredBackup(done.name, chosen.name, done.target, done.replaced)

    def prune(self, *, dry_run: bool) -> Iterator[PrunedPlace]:
        """Prune each place, while no backup is made."""
        with exclusive(self._folder, self.context.fraise, self.context.environment):
            for place in self._places():
                try:
                    yield self._pruned(place, dry_run=dry_run)
                except _PROBLEMS as error:
                    yield PrunedPlace(place.name, place.destination, problem=str(error))
        self._note_leftovers()

    def _note_leftovers(self) -> None:
        """Say what restores left, which nothing deletes here."""
        try:
            origin = origin_target(self.settings.source, self.context)
            for line in origin.leftovers() if origin else ():
                self.context.note(line)
            replaced = LocalPlace(self._folder / REPLACED)
            for each in self._own(replaced).manifests:
                files = [str(replaced.folder / name) for name in (each.file, each.manifest_file)]
                what = f"{files[0]} is a backup of what"
                self.context.note(LEFT_ALONE.format(what, shlex.join(["rm", *files])))
        except _PROBLEMS as error:
            self.context.note(f"what restores left cannot be looked for: {error}")

    @property
    def _installation(self) -> Installation:
        return Installation(self.context.folder)

    @property
    def _folder(self) -> Path:
        return working_place(self.settings, self.context.folder)

    def _places(self) -> list[Place]:
        first: Place = primary_place(self.settings, self._folder, self.context)
        return [first, *remote_places(self.settings, self.context, self.context.folder)]

    def _named_places(self, name: str | None) -> list[Place]:
        places = self._places()
        if name is None:
            return places
        found = [place for place in places if place.name == name]
        if not found:
            known = ", ".join(place.name for place in places)
            raise UnknownNameError(f'no place is named "{name}"; there are: {known}')
        return found

    def _own(self, place: Place) -> Listing:
        """Return what a place holds of the environment, without what is being stored: that is told."""
        before = place.unfinished if isinstance(place, NotedPlace) else frozenset()
        listing = place.manifests().of(self.context.fraise, self.context.environment)
        begun = before | place.unfinished if isinstance(place, NotedPlace) else before
        for name in sorted(begun & listing.unreadable.keys()):
            self.context.note(
                f"{name} at {place.destination} is being stored or deleted, or that was cut off: then "
                "the next backup deletes it"
            )
        unreadable = {name: why for name, why in listing.unreadable.items() if name not in begun}
        return Listing(listing.manifests, unreadable)

    def _policy(self) -> Policy:
        names = self.context.fraise, self.context.environment
        return Policy.of(*names, self.settings, self._installation.id)

    def _listed(self, place: Place, listing: Listing) -> ListedPlace:
        self._installation.require_filled(place, listing)
        reasons = reasons_to_keep(listing.manifests, self._policy(), datetime.now(UTC))
        copies = tuple(
            BackupCopy(
                each.name,
                each.created_at,
                each.size,
                each.source,
                encrypted=each.encrypted or isinstance(place, ResticPlace),
                kept=reasons[each.name],
            )
            for each in listing.manifests
        )
        return ListedPlace(place.name, place.destination, copies, dict(listing.unreadable))

    def _known(self) -> KnownBackups:
        return KnownBackups.of(self._places()[0], self.settings.encrypt, self.context.on_record)

    def _require_known(self, known: KnownBackups, place: Place, manifest: Manifest) -> None:
        """Raise `DamagedCopyError` unless a copy is what was backed up, and say if nothing knows that."""
        if not known.knows(place, manifest):
            self.context.note(f"{manifest.name} {NOT_ON_RECORD}: only {place.destination} says what it is")

    def _verified(self, place: Place, name: str | None, known: KnownBackups) -> Iterator[VerifiedCopy]:
        try:
            listing = self._own(place)
            self._installation.require_filled(place, listing)
            if isinstance(place, ResticPlace):
                self.context.note(f"checking {place.destination}")
                place.check()
        except _PROBLEMS as error:
            yield VerifiedCopy(None, place.name, place.destination, str(error), unread=True)
            return
        for file, why in sorted(listing.unreadable.items()) if name is None else ():
            yield VerifiedCopy(file, place.name, place.destination, why, unread=True)
        for manifest in matching(listing.manifests, name):
            self.context.note(f"reading {manifest.name} at {place.destination}")
            yield verified(place, manifest, lambda each: self._require_known(known, place, each))

    def _pruned(self, place: Place, *, dry_run: bool) -> PrunedPlace:
        self.context.note(f"verifying the newest copy at {place.destination}")
        planned = plan(place, self._policy(), datetime.now(UTC), failed=self.context.failed)
        if planned.deleted and not dry_run:
            names = ", ".join(manifest.name for manifest in planned.deleted)
            self.context.audit("prune", f"{names} at {place.name}")
        return _as_told(planned, None if dry_run else planned.execute())

    def _no_such_backup(self, name: str | None) -> str:
        whose = f"{self.context.fraise} {self.context.environment}"
        if name is None:
            return f"there is no backup of {whose}: run `fraisier backup {whose}` first"
        return f'{whose} has no backup "{name}": run `fraisier backups list {whose}`'


def _as_told(planned: Plan, done: Pruned | None) -> PrunedPlace:
    told = PrunedPlace(
        planned.place.name,
        planned.place.destination,
        {each.manifest.name: each.reasons for each in planned.verdicts if each.reasons},
        tuple(manifest.name for manifest in planned.deleted),
        unreadable=dict(planned.unreadable),
        problem=planned.refusal,
    )
    if done is None or planned.refusal is not None:
        return told
    return replace(told, deleted=done.deleted, undeleted=done.undeleted, problem=done.problem)

"""What is on record of the backups of an environment: which failed, and what each copy was found to be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fraisier_core.errors import BusyError
from fraisier_core.store.protocol import Reader
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import ENDED, KINDS

from fraisier.cli.backup_marks import BackupMarks, Verification
from fraisier.cli.tables import short_id

RECORDED = 1000
"""So many deployments of an environment are looked through for what they say of its backups."""


@dataclass(frozen=True)
class BackupRecord:
    """The record of one environment, and what commands found of its copies.

    Args:
        reader: of the store, None if there is none yet.
        fraise: whose backups are meant.
        environment: of that fraise.
        marks: what commands found.
    """

    reader: Reader | None
    fraise: str
    environment: str
    marks: BackupMarks

    @property
    def failed(self) -> str | None:
        """The id of the newest run of a backup that has ended, if that did not succeed."""
        passed_over = {"superseded", "skipped"}
        ended = [each for each in self._deployments if each.kind == "backup" and each.status in ENDED]
        newest = next((each for each in ended if each.status not in passed_over), None)
        return short_id(newest.id) if newest and newest.status != "success" else None

    def require_idle(self) -> None:
        """Raise `BusyError` if a backup or a restore test is under way."""
        names = self.fraise, self.environment
        running = self.reader.running(*names, KINDS["backup"].lane) if self.reader else None
        if running is not None:
            what = f"{short_id(running)} of {' '.join(names)} is under way"
            raise BusyError(f"{what}: wait until it has ended, or run `fraisier cancel {short_id(running)}`")

    def verified(self, name: str, place: str, destination: str) -> Verification | None:
        """Return what a copy was last found to be, None if it was never verified."""
        good = self._made.get(name), self._tested.get((name, destination))
        found = [Verification(at) for at in good if at is not None]
        if marked := self.marks.found(name, place, destination):
            found.append(marked)
        return max(found, key=lambda each: each.at, default=None)

    @cached_property
    def stored(self) -> dict[str, str]:
        """The checksum of what each backup stored, by its name."""
        return {
            each.stored_name: each.stored_sha256
            for each in self._deployments
            if each.kind == "backup" and each.stored_name and each.stored_sha256
        }

    @cached_property
    def _made(self) -> dict[str, str]:
        """When each backup was verified at all places by the run that made it."""
        return {
            each.stored_name: each.completed_at
            for each in self._deployments
            if each.kind == "backup" and each.status == "success" and each.stored_name and each.completed_at
        }

    @cached_property
    def _tested(self) -> dict[tuple[str, str], str]:
        """When each copy was last restored as a test, by the name of the backup and where it lies."""
        return {
            (each.stored_name, each.stored_at): each.completed_at
            for each in reversed(self._deployments)
            if each.kind == "restore_test" and each.status == "success"
            if each.stored_name and each.stored_at and each.completed_at
        }

    @cached_property
    def _deployments(self) -> list[Deployment]:
        found = (self.fraise, self.environment)
        return self.reader.deployments(*found, limit=RECORDED) if self.reader else []

"""What is on record of the backups of an environment: which failed, and when each copy was verified."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from fraisier_core.errors import BusyError
from fraisier_core.store.protocol import Reader
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import ENDED, KINDS
from fraisier_core.system.host import utc_text

from fraisier.cli.tables import short_id

RECORDED = 1000
"""So many deployments of an environment are looked through for what they say of its backups."""


@dataclass(frozen=True)
class BackupRecord:
    """The record of one environment, and a mark for each copy that a command has verified.

    Args:
        reader: of the store, None if there is none yet.
        fraise: whose backups are meant.
        environment: of that fraise.
        folder: of the environment's own, for the marks.
    """

    reader: Reader | None
    fraise: str
    environment: str
    folder: Path

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

    def verified_at(self, name: str, place: str, destination: str) -> str | None:
        """Return when a copy was last found to be good, None if it never was."""
        found = (self._made.get(name), self._tested.get((name, destination)), self._marked(name, place))
        return max((each for each in found if each is not None), default=None)

    def mark_verified(self, name: str, place: str) -> None:
        """Remember that a copy is good."""
        mark = self._mark(name, place)
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.touch()

    def forget(self, name: str, place: str) -> None:
        """Forget a copy that is deleted."""
        self._mark(name, place).unlink(missing_ok=True)

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

    def _marked(self, name: str, place: str) -> str | None:
        with suppress(OSError):
            return utc_text(datetime.fromtimestamp(self._mark(name, place).stat().st_mtime, UTC))
        return None

    def _mark(self, name: str, place: str) -> Path:
        return self.folder / "verified" / f"{place}:{name}".replace("/", "_")

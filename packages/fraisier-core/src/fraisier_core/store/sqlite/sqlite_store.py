"""The whole store: webhooks, deployments, leases and everything that is read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Self

from fraisier_core.store.records import Observed
from fraisier_core.store.sqlite.branch_heads import BranchHeads
from fraisier_core.store.sqlite.connection import Connection, statements
from fraisier_core.store.sqlite.wake_ups import NamedPipe, wake
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.host import Host


class SqliteStore(BranchHeads):
    """Implements `protocol.Store`."""

    @classmethod
    def open(cls, path: Path, host: Host) -> Self:
        """Open the store, creating and migrating it as needed. Raises `StoreError`."""
        store = cls(Connection.open(path), host)
        store.add_kinds()
        return store

    @property
    def migrated(self) -> tuple[str, ...]:
        return self._connection.migrated

    def maintain(self) -> None:
        self._connection.take_checkpoints()

    def rebuild(self) -> None:
        sql = statements("rebuild")
        with self._connection.transaction():
            for name in ("empty_steps", "empty_attempts", "empty_serving", "empty_deployments", "fold"):
                self._connection.execute(sql[name])

    def wake(self) -> None:
        wake(self._connection.path.parent)

    def wake_ups(self) -> NamedPipe:
        return NamedPipe(self._connection.path.parent)

    def observed(self, observer: str) -> Observed:
        known = self._records(Observed, "observed", name=observer)
        return (known or self._records(Observed, "last_event"))[0]

    def observe(self, observer: str, observed: Observed) -> None:
        with self._connection.transaction():
            self._write("observe", name=observer, **observed._asdict())

    def add_kinds(self) -> None:
        """Write the kinds of this version, if the store has others: its rules look them up."""
        wanted = [
            {key: asdict(kind)[key] for key in ("name", "source", "lane", "supersedes", "shown", "priority")}
            for kind in KINDS.values()
        ]
        known = [dict(row) for row in self._all("known_kinds")]
        missing = [row for row in wanted if row not in known]
        if missing:
            with self._connection.transaction():
                self._connection.execute_many(self._sql["add_kind"], missing)

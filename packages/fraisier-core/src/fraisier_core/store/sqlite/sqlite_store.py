"""The whole store, on one connection that writes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fraisier_core.store.events import Event
from fraisier_core.store.received import Delivery, Receipt, Receipts
from fraisier_core.store.records import Claimed, Request
from fraisier_core.store.relational.deliveries import are_large
from fraisier_core.store.relational.dialect import fleeting_transaction
from fraisier_core.store.relational.store import RelationalStore
from fraisier_core.store.sqlite.connection import Connection
from fraisier_core.store.sqlite.sqlite_migrations import SQL
from fraisier_core.store.sqlite.wake_ups import NamedPipe, wake
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity

if TYPE_CHECKING:
    from asyncio import Lock

    from fraisier_core.store.sqlite.sqlite_commits import SqliteCommits
    from fraisier_core.store.sqlite.sqlite_contents import SqliteContents

NO_PAYLOAD = {"id": None, "body": None}
"""Is of no event, so it is not stored; SQLite holds on to a copy of the last one, however large it is."""


class SqliteStore(RelationalStore):
    """Implements `protocol.Store`."""

    dialect = SQL
    _connection: Connection

    @classmethod
    def open(cls, path: Path, host: Host) -> Self:
        """Open the store, creating and migrating it as needed. Raises `StoreError`."""
        store = cls(Connection.open(path), host)
        store.add_kinds()
        return store

    @property
    def migrated(self) -> tuple[str, ...]:
        return self._connection.migrated

    def contents(self) -> SqliteContents:
        from fraisier_core.store.sqlite.sqlite_contents import SqliteContents  # for few commands

        return SqliteContents(self._connection, SQL)

    def commits(self) -> SqliteCommits:
        from fraisier_core.store.sqlite.sqlite_commits import SqliteCommits  # for who follows

        return SqliteCommits.open(self._connection.path)

    def make_single_file(self) -> None:
        """Have the file hold everything, without others beside it."""
        self._connection.all("PRAGMA journal_mode = DELETE")

    def insist(self) -> None:
        """Nothing changes: a file is never away."""

    def abort(self) -> None:
        """Nothing is to be done: a file answers."""

    def maintain(self) -> None:
        self._connection.take_checkpoints()

    def wake(self) -> None:
        wake(self._connection.path.parent)

    def wake_ups(self) -> NamedPipe:
        return NamedPipe(self._connection.path.parent)

    def claim(self, holder: ProcessIdentity, deployment_id: str | None = None) -> Claimed | None:
        if not self._one("claimable", id=deployment_id):  # asked without a transaction: others need its locks
            return None
        claim = partial(self._claim, holder, deployment_id)
        return self._connection.transact(claim, durable=False)  # durable with the first step

    def _request(self, request: Request) -> str:
        deployment_id = super()._request(request)
        if KINDS[request.kind].job:
            self._write("skip_overlapping", deployment_id=deployment_id)
        return deployment_id

    def _claim(self, holder: ProcessIdentity, deployment_id: str | None) -> Claimed | None:
        self._require_known()
        row = self._one("claimable", id=deployment_id)
        if row is None:
            return None
        lease = self._take(row["id"], row["attempt"] + 1, holder)
        self._insert(lease, Event("claimed"))
        return Claimed(lease, self.deployment(row["id"]))

    @fleeting_transaction
    def heartbeat(self, worker: ProcessIdentity) -> None:
        self._require_known()
        self._write("heartbeat", **self._beating(worker))
        self._write("forget_dead_workers", **self._beating(worker))

    @cached_property
    def _turn(self) -> Lock:
        from asyncio import Lock

        return Lock()

    async def accept(self, deliveries: Sequence[Delivery]) -> Receipts:
        """Store a batch. The event loop waits for the disk, as what could be answered meanwhile would. Of a
        large batch the disk is the lesser part, so it is stored in a thread; those after it wait for their
        turn.
        """
        large = are_large(deliveries)
        if not large and not self._turn.locked():
            return self._accept_and_wake(deliveries)
        async with self._turn:
            if not large:
                return self._accept_and_wake(deliveries)
            from asyncio import to_thread  # for commands, importing it would take too long

            return await to_thread(self._accept_large, deliveries)

    def _accept_large(self, deliveries: Sequence[Delivery]) -> Receipts:
        receipts = self._accept_and_wake(deliveries)
        self._connection.execute("PRAGMA shrink_memory")
        return receipts

    def _accept_and_wake(self, deliveries: Sequence[Delivery]) -> Receipts:
        receipts = self._accept_together(deliveries)
        if any(isinstance(each, Receipt) and each.verdict == "accepted" for each in receipts):
            self.wake()
        return receipts

    def _store(self, deliveries: Sequence[Delivery]) -> Receipts:
        receipts = super()._store(deliveries)
        self._connection.execute_many(self._sql["insert_payload"], [NO_PAYLOAD])
        return receipts

    async def refuse(self, provider: str, received_at: str, client: str, reason: str) -> None:
        async with self._turn:
            self._refuse(provider, received_at, client, reason)

"""The whole store, on a connection that is opened again whenever it is lost."""

from __future__ import annotations

from asyncio import Lock, to_thread
from collections.abc import Sequence
from functools import cached_property
from typing import Self

from fraisier_core import Host, ProcessIdentity
from fraisier_core.store.received import Delivery, Receipts
from fraisier_core.store.relational.dialect import Row
from fraisier_core.store.relational.migrations import require_known
from fraisier_core.store.relational.store import RelationalStore

from fraisier_postgres.listening import Listener
from fraisier_postgres.postgres_connection import PostgresConnection
from fraisier_postgres.postgres_migrations import SQL, migrate


class PostgresStore(RelationalStore):
    """Implements `protocol.Store`. Whoever changes deployments holds the row of their environment first."""

    dialect = SQL
    migrated: tuple[str, ...] = ()
    _connection: PostgresConnection

    @classmethod
    def open(cls, url: str, host: Host) -> Self:
        """Open the store, creating and migrating it as needed. Raises `StoreError`."""
        store = cls(PostgresConnection(url), host)
        store.migrated = migrate(store._connection)
        store.add_kinds()
        return store

    def insist(self) -> None:
        self._connection.insists = True

    def maintain(self) -> None:
        """Nothing is to be done: PostgreSQL sees to itself."""

    def heartbeat(self, worker: ProcessIdentity) -> None:
        (found,) = self._all("heartbeat", **self._beating(worker))
        require_known(SQL, found["newest"])

    def wake(self) -> None:
        self._all("wake")

    def wake_ups(self) -> Listener:
        return Listener(self._connection.url)

    @cached_property
    def _turn(self) -> Lock:
        return Lock()

    async def accept(self, deliveries: Sequence[Delivery]) -> Receipts:
        """Store a batch in a thread: the event loop does not wait for the database."""
        async with self._turn:
            return await to_thread(self._accept_together, deliveries)

    async def refuse(self, provider: str, received_at: str, client: str, reason: str) -> None:
        async with self._turn:
            await to_thread(self._refuse, provider, received_at, client, reason)

    def _lock_environment(self, deployment_id: str) -> None:
        self._all("lock_environment_of", deployment_id=deployment_id)

    def _is_waiting(self, deployment_id: str | None) -> bool:
        return self._one("waiting", id=deployment_id) is not None

    def _claimable(self, deployment_id: str | None) -> Row | None:
        """Return what can be claimed, its environment held; those that others hold are passed over."""
        found = self._one("claimable", id=deployment_id)
        return self._one("still_claimable", id=found["id"]) if found else None

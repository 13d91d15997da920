"""The whole store, on a connection that is opened again whenever it is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from fraisier_core import Host, ProcessIdentity
from fraisier_core.store.relational.dialect import Row
from fraisier_core.store.relational.migrations import require_known

from fraisier_postgres.accepting import AcceptingStore
from fraisier_postgres.listening import Listener
from fraisier_postgres.postgres_connection import PostgresConnection
from fraisier_postgres.postgres_migrations import SQL, migrate

if TYPE_CHECKING:
    from fraisier_postgres.postgres_contents import PostgresContents


class PostgresStore(AcceptingStore):
    """Implements `protocol.Store`. Whoever changes deployments holds the row of their environment first."""

    dialect = SQL
    migrated: tuple[str, ...] = ()

    @classmethod
    def open(cls, url: str, host: Host) -> Self:
        """Open the store, creating and migrating it as needed. Raises `StoreError`."""
        store = cls(PostgresConnection(url), host)
        store.migrated = migrate(store._connection)
        store.add_kinds()
        return store

    def contents(self) -> PostgresContents:
        from fraisier_postgres.postgres_contents import PostgresContents  # for few commands

        return PostgresContents(self._connection, SQL)

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

    def _lock_environment(self, deployment_id: str) -> None:
        self._all("lock_environment_of", deployment_id=deployment_id)

    def _is_waiting(self, deployment_id: str | None) -> bool:
        return self._one("waiting", id=deployment_id) is not None

    def _claimable(self, deployment_id: str | None) -> Row | None:
        """Return what can be claimed, its environment held; those that others hold are passed over."""
        found = self._one("claimable", id=deployment_id)
        return self._one("still_claimable", id=found["id"]) if found else None

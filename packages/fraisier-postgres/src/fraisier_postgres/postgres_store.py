"""The whole store, on a connection that is opened again whenever it is lost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from fraisier_core import Host, ProcessIdentity
from fraisier_core.store.records import Claimed, Deployment, Lease
from fraisier_core.store.relational.dialect import Row
from fraisier_core.store.relational.migrations import migrations, require_known
from fraisier_core.store.relational.reader import record

from fraisier_postgres.accepting import AcceptingStore
from fraisier_postgres.listening import Listener
from fraisier_postgres.postgres_connection import PostgresConnection
from fraisier_postgres.postgres_migrations import SQL, migrate

if TYPE_CHECKING:
    from fraisier_postgres.postgres_commits import PostgresCommits
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

    def commits(self) -> PostgresCommits:
        from fraisier_postgres.postgres_commits import PostgresCommits  # for who follows

        return PostgresCommits(self._connection.url)

    def insist(self) -> None:
        self._connection.insists = True

    def abort(self) -> None:
        self._connection.abort()

    def maintain(self) -> None:
        """Nothing is to be done: PostgreSQL sees to itself."""

    def heartbeat(self, worker: ProcessIdentity) -> None:
        (found,) = self._all("heartbeat", **self._beating(worker))
        require_known(SQL, found["newest"])

    @cached_property
    def _renewing(self) -> PostgresStore:
        """The same store on another connection: whatever this one waits for, the lease is renewed."""
        store = type(self)(PostgresConnection(self._connection.url), self._host)
        store._connection.insists = self._connection.insists
        return store

    def renew(self, lease: Lease) -> None:
        AcceptingStore.renew(self._renewing, lease)

    def close(self) -> None:
        super().close()
        if "_renewing" in self.__dict__:
            self._renewing.close()

    def wake(self) -> None:
        self._all("wake")

    def wake_ups(self) -> Listener:
        return Listener(self._connection.url)

    def _lock_environment(self, deployment_id: str) -> None:
        self._all("lock_environment_of", deployment_id=deployment_id)

    def _lock_environments(self, fraise_id: str, environment: str | None) -> None:
        self._all("lock_environments", fraise_id=fraise_id, environment=environment)

    def claim(self, holder: ProcessIdentity, deployment_id: str | None = None) -> Claimed | None:
        """Claim in one round trip; durable with the first step."""
        claiming = self._claiming(holder, deployment_id, durable=False)
        return self._claimed(self._connection.once(self._sql["claim"], claiming))

    def _claim(self, holder: ProcessIdentity, deployment_id: str | None) -> Claimed | None:
        return self._claimed(self._all("claim", **self._claiming(holder, deployment_id, durable=True)))

    def _claiming(
        self, holder: ProcessIdentity, deployment_id: str | None, *, durable: bool
    ) -> dict[str, Any]:
        wanted = {"id": deployment_id, "known": migrations(SQL)[-1].name, "durable": durable}
        return wanted | self._holding(holder)

    def _claimed(self, rows: Sequence[Row]) -> Claimed | None:
        (row,) = rows
        require_known(SQL, row["newest"])
        if row["token"] is None:
            return None
        deployment = record(Deployment, row)
        return Claimed(Lease(row["token"], deployment.id, self._host.name, deployment.attempt), deployment)

"""Stores for tests, whose tables can be looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar, cast

from fraisier_core.store.protocol import Store
from fraisier_core.store.received import Delivery, Receipts
from fraisier_core.store.records import Lease, Request
from fraisier_core.store.relational.dialect import NONE, Parameters
from fraisier_core.store.relational.store import RelationalStore
from fraisier_core.store.sqlite.connection import BUSY_SECONDS, Connection
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity

T = TypeVar("T")


class OpenStore(RelationalStore, Store):
    """A store, and SQL beside it, which has to be such that every database understands it."""

    def all(self, sql: str, parameters: Parameters = NONE) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        return [dict(cast("Any", row)) for row in self._connection.all(sql, dict(parameters))]

    def execute(self, sql: str, parameters: Parameters = NONE) -> None:
        """Run a statement."""
        self._connection.execute(sql, dict(parameters))

    def transact(self, work: Callable[[], T]) -> T:
        """Do something in one transaction."""
        return self._connection.transact(work)

    def recorded_at(self, time: str) -> None:
        """Give what was recorded since the last call the ids that another clock would have given.

        Args:
            time: what the ids begin with, one hexadecimal digit: those that this clock gives begin with 0.
        """
        raise NotImplementedError

    def number_events_from(self, sequence: int) -> None:
        """Have the next event take this number, if it is not given one that is taken."""
        raise NotImplementedError

    def age_leases(self, seconds: float) -> None:
        """Have every lease expire so much earlier."""
        raise NotImplementedError

    def request(self, request: Request) -> str:
        """Request one deployment, and return its id."""
        return self.request_all([request])[0]

    def leased(self, holder: ProcessIdentity, deployment_id: str | None = None) -> Lease | None:
        """Claim a deployment, by default the next, and return its lease."""
        claimed = self.claim(holder, deployment_id)
        return claimed and claimed.lease

    def request_leased(self, request: Request, holder: ProcessIdentity) -> tuple[str, Lease | None]:
        """Request a deployment and claim it if it can run; return its id and its lease."""
        deployment_id, claimed = self.request_and_claim(request, holder)
        return deployment_id, claimed and claimed.lease

    def accept_now(self, *deliveries: Delivery) -> Receipts:
        """Accept deliveries outside of an event loop."""
        return asyncio.run(self._accept(deliveries))

    async def _accept(self, deliveries: Sequence[Delivery]) -> Receipts:
        return await self.accept(deliveries)


class OpenSqliteStore(SqliteStore, OpenStore):
    """The SQLite store."""

    def transaction(self) -> AbstractContextManager[None]:
        """Hold the write lock during the block."""
        return self._connection.transaction()

    def recorded_at(self, time: str) -> None:
        triggers = self.all(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '%update'"
        )
        columns = self.all(
            "SELECT t.name AS place, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c "
            "WHERE t.type = 'table' AND c.type = 'TEXT'"
        )
        with self.transaction():
            for trigger in triggers:
                self.execute(f"DROP TRIGGER {trigger['name']}")
            for column in columns:
                change = "UPDATE {place} SET {name} = :time || substr({name}, 2)".format(**column)
                is_id = f"{column['name']} GLOB '0???????-????-7???-????-????????????'"
                self.execute(f"{change} WHERE {is_id}", {"time": time})
            for trigger in triggers:
                self.execute(trigger["sql"])

    def number_events_from(self, sequence: int) -> None:
        """Nothing: an event takes the number that it is given."""

    def age_leases(self, seconds: float) -> None:
        self.execute("UPDATE tb_leases SET expires = expires - :seconds", {"seconds": seconds})


def open_store(
    place: Path | str, *, busy_seconds: float = BUSY_SECONDS, host: Host | None = None
) -> OpenSqliteStore:
    """Return the SQLite store at a path or URL, made if it is missing.

    Args:
        place: the path or URL.
        busy_seconds: how long to wait for another writer.
        host: who opens it; this one by default.
    """
    path = Path(str(place).removeprefix("sqlite://"))
    store = OpenSqliteStore(Connection.open(path, busy_seconds=busy_seconds), host or Host())
    store.add_kinds()
    return store

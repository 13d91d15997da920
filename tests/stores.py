"""A store for tests, whose tables can be looked at."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from fraisier_core.store.received import Delivery, Receipts
from fraisier_core.store.records import Request
from fraisier_core.store.sqlite.connection import BUSY_SECONDS, Connection, Parameters
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.system.host import Host


class OpenStore(SqliteStore):
    """The SQLite store, and SQL beside it."""

    def all(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        return self._connection.all(sql, parameters)

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Run a statement."""
        self._connection.execute(sql, parameters)

    def transaction(self) -> AbstractContextManager[None]:
        """Hold the write lock during the block."""
        return self._connection.transaction()

    def recorded_at(self, time: str) -> None:
        """Give what was recorded since the last call the ids that another clock would have given.

        Args:
            time: what the ids begin with, one hexadecimal digit: those that this clock gives begin with 0.
        """
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
            for place, name in columns:
                change = f"UPDATE {place} SET {name} = ? || substr({name}, 2)"
                self.execute(f"{change} WHERE {name} GLOB '0???????-????-7???-????-????????????'", (time,))
            for trigger in triggers:
                self.execute(trigger["sql"])

    def request(self, request: Request) -> str:
        """Request one deployment, and return its id."""
        return self.request_all([request])[0]

    def accept_now(self, *deliveries: Delivery) -> Receipts:
        """Accept deliveries outside of an event loop."""
        return asyncio.run(self._accept(deliveries))

    async def _accept(self, deliveries: Sequence[Delivery]) -> Receipts:
        return await self.accept(deliveries)


def open_store(place: Path | str, *, busy_seconds: float = BUSY_SECONDS) -> OpenStore:
    """Return the SQLite store at a path or URL, made if it is missing.

    Args:
        place: the path or URL.
        busy_seconds: how long to wait for another writer.
    """
    path = Path(str(place).removeprefix("sqlite://"))
    store = OpenStore(Connection.open(path, busy_seconds=busy_seconds), Host())
    store.add_kinds()
    return store

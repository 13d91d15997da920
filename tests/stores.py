"""A store for tests, whose tables can be looked at."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from fraisier_core.store.received import Delivery, Receipts
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

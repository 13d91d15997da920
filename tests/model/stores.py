"""The databases that the model runs over: each is emptied for every example."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from fraisier_core.system.host import Host

from tests.databases import PostgresDatabase
from tests.stores import OpenStore, open_store


class Stores(Protocol):
    """One kind of database."""

    def create(self, host: Host) -> OpenStore:
        """Return an empty store."""

    def reopen(self, host: Host) -> OpenStore:
        """Open the store that was created last again."""


class SqliteStores:
    """SQLite without durability: what is simulated here is never the loss of power."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "store" / "fraisier.db"
        self._empty = folder / "empty.db"
        open_store(self._path).close()
        self._path.rename(self._empty)

    def create(self, host: Host) -> OpenStore:
        for left in self._path.parent.iterdir():
            left.unlink()
        shutil.copyfile(self._empty, self._path)
        return self.reopen(host)

    def reopen(self, host: Host) -> OpenStore:
        store = open_store(self._path, host=host)
        store.execute("PRAGMA synchronous = OFF")
        return store


class PostgresStores:
    """PostgreSQL, whose servers for tests are not durable either."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def create(self, host: Host) -> OpenStore:
        self._database.clear()
        return self.reopen(host)

    def reopen(self, host: Host) -> OpenStore:
        return self._database.open(host)

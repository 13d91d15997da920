"""The databases that the model runs over: each is opened anew, empty, for every example."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from fraisier_core.store.protocol import Store
from fraisier_core.store.sqlite.connection import Connection
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.system.host import Host

MEMORY = Path("/dev/shm")


class Stores(Protocol):
    """One kind of database."""

    def create(self, host: Host) -> Store:
        """Return an empty store."""

    def reopen(self, host: Host) -> Store:
        """Open the store that was created last again."""


class SqliteStores:
    """SQLite without durability: what is simulated here is never the loss of power."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "store" / "fraisier.db"
        self._empty = folder / "empty.db"
        SqliteStore.open(self._path, Host()).close()
        self._path.rename(self._empty)

    def create(self, host: Host) -> Store:
        for left in self._path.parent.iterdir():
            left.unlink()
        shutil.copyfile(self._empty, self._path)
        return self.reopen(host)

    def reopen(self, host: Host) -> Store:
        connection = Connection.open(self._path)
        connection.execute("PRAGMA synchronous = OFF")
        return SqliteStore(connection, host)


STORES: Mapping[str, Callable[[Path], Stores]] = {"sqlite": SqliteStores}

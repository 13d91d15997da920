"""Hearing of commits: SQLite tells a connection whether another one has committed, when it is asked."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Self

from fraisier_core.errors import StoreError
from fraisier_core.store.sqlite.connection import Connection

TICK_SECONDS = 0.002
"""Asking takes no lock, and at this pace 4 % of a processor. A watch on the files would tell before there is
anything to see.
"""


class SqliteCommits:
    """Implements `protocol.Commits`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._version = self._current()
        self._awake = threading.Event()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Begin to hear of what is committed to a store. Raises `StoreError`."""
        connection = Connection.open_for_reading(path)
        if connection is None:
            raise StoreError(f"the store {path} was deleted; restart every Fraisier process")
        return cls(connection)

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (version := self._current()) == self._version and time.monotonic() < until:
            if self._awake.wait(TICK_SECONDS):
                break
        self._awake.clear()
        self._version = version

    def wake(self) -> None:
        self._awake.set()

    def close(self) -> None:
        self._connection.close()

    def _current(self) -> int:
        (row,) = self._connection.all("PRAGMA data_version")
        return int(row[0])

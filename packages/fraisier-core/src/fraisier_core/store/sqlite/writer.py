"""What the parts of the write side share: the connection and their statements."""

from __future__ import annotations

import sqlite3
from typing import Any

from fraisier_core.store.sqlite.connection import Connection, statements
from fraisier_core.store.sqlite.reader import SqliteReader
from fraisier_core.system.host import Host


class Writer(SqliteReader):
    """A reader that may write, too."""

    def __init__(self, connection: Connection, host: Host) -> None:
        super().__init__(connection, host)
        self._sql = statements("deployments")

    def _write(self, statement: str, **parameters: Any) -> sqlite3.Cursor:
        return self._connection.execute(self._sql[statement], parameters)

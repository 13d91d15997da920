"""The read side, which creates and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from fraisier_core.store.relational.reader import RelationalReader
from fraisier_core.store.sqlite.connection import Connection
from fraisier_core.store.sqlite.sqlite_migrations import SQL
from fraisier_core.system.host import Host

if TYPE_CHECKING:
    from fraisier_core.store.sqlite.sqlite_commits import SqliteCommits
    from fraisier_core.store.sqlite.sqlite_contents import SqliteContents


class SqliteReader(RelationalReader):
    """Implements `protocol.Reader`."""

    dialect = SQL
    _connection: Connection

    @classmethod
    def open(cls, path: Path, host: Host) -> Self | None:
        """Open the store without changing anything; None if there is none. Raises `StoreError`."""
        connection = Connection.open_for_reading(path)
        return cls(connection, host) if connection else None

    def contents(self) -> SqliteContents:
        from fraisier_core.store.sqlite.sqlite_contents import SqliteContents  # for few commands

        return SqliteContents(self._connection, SQL)

    def commits(self) -> SqliteCommits:
        from fraisier_core.store.sqlite.sqlite_commits import SqliteCommits  # for who follows

        return SqliteCommits.open(self._connection.path)

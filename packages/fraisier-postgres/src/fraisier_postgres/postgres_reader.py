"""The read side, which creates and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from fraisier_core import Host
from fraisier_core.store.relational.reader import RelationalReader

from fraisier_postgres.postgres_connection import PostgresConnection
from fraisier_postgres.postgres_migrations import SQL, exists, require_current

if TYPE_CHECKING:
    from fraisier_postgres.postgres_commits import PostgresCommits
    from fraisier_postgres.postgres_contents import PostgresContents


class PostgresReader(RelationalReader):
    """Implements `protocol.Reader`."""

    dialect = SQL
    _connection: PostgresConnection

    @classmethod
    def open(cls, url: str, host: Host) -> Self | None:
        """Open the store without changing anything; None if there is none. Raises `StoreError`."""
        connection = PostgresConnection(url, for_reading=True)
        if not exists(connection):
            connection.close()
            return None
        require_current(connection)
        return cls(connection, host)

    def contents(self) -> PostgresContents:
        from fraisier_postgres.postgres_contents import PostgresContents  # for few commands

        return PostgresContents(self._connection, SQL)

    def commits(self) -> PostgresCommits:
        from fraisier_postgres.postgres_commits import PostgresCommits  # for who follows

        return PostgresCommits(self._connection.url)

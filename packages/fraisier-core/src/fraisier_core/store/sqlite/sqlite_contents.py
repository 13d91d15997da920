"""The rows of a store on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from fraisier_core.store.relational.dialect import CLOSED, quoted
from fraisier_core.store.relational.rows import RelationalContents, guarded_tables
from fraisier_core.store.sqlite.connection import Connection
from fraisier_core.store.sqlite.sqlite_migrations import migrate
from fraisier_core.store.tables import Closed, Row, Table


class SqliteContents(RelationalContents):
    """Implements `tables.WritableContents`."""

    _connection: Connection

    def files(self) -> tuple[Path, ...]:
        path = self._connection.path
        return tuple(path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal"))

    @contextmanager
    def _without_rules(self, table: Table) -> Iterator[None]:
        rules = self._connection.all(self._sql["rules"], {"name": table.name})
        for rule in rules:
            self._connection.execute(f"DROP TRIGGER {rule['name']}")
        yield
        for rule in rules:
            self._connection.execute(rule["sql"])

    def _made(self) -> Mapping[str, str | None]:
        return _fresh()

    def _close(self, closed: Closed) -> None:
        self._open()
        self._connection.execute(self._sql["create_closed"])
        self._connection.execute(self._sql["insert_closed"], closed._asdict())
        refuse = f"BEGIN SELECT RAISE(ABORT, {quoted(CLOSED + closed.message)}); END"
        if closed.state == "draining":
            claims = "BEFORE INSERT ON tb_deployment_events WHEN NEW.event = 'claimed'"
            self._connection.execute(f"CREATE TRIGGER closed_claims {claims} {refuse}")
            return
        for table, changes in guarded_tables():
            for change in changes:
                self._connection.execute(
                    f"CREATE TRIGGER closed_{change}_{table} BEFORE {change} ON {table} {refuse}"
                )

    def _open(self) -> None:
        for row in self._connection.all(self._sql["closing"]):
            self._connection.execute(f"DROP TRIGGER {row['name']}")
        self._connection.execute("DROP TABLE IF EXISTS tb_closed")

    def _upsert(self, table: Table, rows: Sequence[Row]) -> None:
        columns = self.columns(table)
        values = ", ".join(f":{name}" for name in columns)
        changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
        self._connection.execute_many(
            f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({values}) "  # noqa: S608
            f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changes}",
            [dict(zip(columns, row, strict=True)) for row in rows],
        )


@cache
def _fresh() -> Mapping[str, str | None]:
    """Return what a new store consists of."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        migrate(database)
        return dict(database.execute("SELECT name, sql FROM sqlite_schema").fetchall())

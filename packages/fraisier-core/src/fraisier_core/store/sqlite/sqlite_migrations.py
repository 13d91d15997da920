"""Applies the migrations in one transaction, whose lock dies with its holder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from fraisier_core.store.relational.migrations import pending, require_all

SQL = Path(__file__).parent / "sql"


def require_current(connection: sqlite3.Connection) -> None:
    """Raise `OutdatedStoreError` for an older schema, `StoreError` for a newer or edited one."""
    require_all(SQL, _applied(connection))


def migrate(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Bring the schema up to date, and return which migrations that took. Raises `StoreError`."""
    if not pending(SQL, _applied(connection)):
        return ()
    connection.execute("BEGIN IMMEDIATE")
    with connection:  # which commits, or rolls back
        return _apply(connection)


def _apply(connection: sqlite3.Connection) -> tuple[str, ...]:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS tb_migrations (name TEXT PRIMARY KEY, checksum TEXT NOT NULL)"
    )
    missing = pending(SQL, _applied(connection))
    for migration in missing:
        for statement in _statements(migration.sql):
            connection.execute(statement)
        row = (migration.name, migration.checksum)
        connection.execute("INSERT INTO tb_migrations (name, checksum) VALUES (?, ?)", row)
    return tuple(migration.name for migration in missing)


def _applied(connection: sqlite3.Connection) -> dict[str, str]:
    exists = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tb_migrations'").fetchone()
    return dict(connection.execute("SELECT name, checksum FROM tb_migrations").fetchall()) if exists else {}


def _statements(sql: str) -> Iterator[str]:
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

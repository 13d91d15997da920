"""Forward-only migrations: applied in order in one transaction, whose lock dies with its holder."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fraisier_core.errors import OutdatedStoreError, StoreError

FOLDER = Path(__file__).parent / "sql" / "migrations"


class Migration(NamedTuple):
    """One file of `sql/migrations`; the checksum is the SHA-256 of its text, in hex."""

    name: str
    checksum: str
    sql: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Return the migrations this version knows, in order."""
    texts = sorted((entry.name, entry.read_text()) for entry in FOLDER.glob("*.sql"))
    return tuple(Migration(name, hashlib.sha256(sql.encode()).hexdigest(), sql) for name, sql in texts)


def require_current(connection: sqlite3.Connection) -> None:
    """Raise `OutdatedStoreError` for an older schema, `StoreError` for a newer or edited one."""
    if _pending(_applied(connection)):
        raise OutdatedStoreError("an older version of Fraisier made the store; run `fraisier db migrate`")


def migrate(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Bring the schema up to date, and return which migrations that took. Raises `StoreError`."""
    if not _pending(_applied(connection)):
        return ()
    connection.execute("BEGIN IMMEDIATE")
    with connection:  # which commits, or rolls back
        return _apply(connection)


def _apply(connection: sqlite3.Connection) -> tuple[str, ...]:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS tb_migrations (name TEXT PRIMARY KEY, checksum TEXT NOT NULL)"
    )
    pending = _pending(_applied(connection))
    for migration in pending:
        for statement in _statements(migration.sql):
            connection.execute(statement)
        row = (migration.name, migration.checksum)
        connection.execute("INSERT INTO tb_migrations (name, checksum) VALUES (?, ?)", row)
    return tuple(migration.name for migration in pending)


def _applied(connection: sqlite3.Connection) -> dict[str, str]:
    exists = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tb_migrations'").fetchone()
    return dict(connection.execute("SELECT name, checksum FROM tb_migrations").fetchall()) if exists else {}


def _pending(applied: dict[str, str]) -> list[Migration]:
    known = {migration.name: migration for migration in migrations()}
    if newer := sorted(applied.keys() - known.keys()):
        raise StoreError(f"a newer version of Fraisier made the store (it has {newer[-1]}); upgrade this one")
    if edited := [name for name, checksum in applied.items() if known[name].checksum != checksum]:
        differs = f"migration {edited[0]} differs from the one applied to this store"
        raise StoreError(f"{differs}; reinstall the released version")
    return [migration for migration in migrations() if migration.name not in applied]


def _statements(sql: str) -> Iterator[str]:
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

"""Applies the migrations in one transaction, under a lock that dies with its holder."""

from __future__ import annotations

from pathlib import Path

from fraisier_core import StoreError
from fraisier_core.store.relational.migrations import pending, require_all

from fraisier_postgres.postgres_connection import PostgresConnection

SQL = Path(__file__).parent / "sql"
LOCK = 0x66726169736572
"""Of `pg_advisory_xact_lock`: two that migrate at once do so one after the other."""
_UNFIT = frozenset({"off", "repeatable read", "serializable"})
_SETTINGS = """
SELECT current_setting('server_encoding') AS encoding,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('default_transaction_isolation') AS default_transaction_isolation
"""


def exists(connection: PostgresConnection) -> bool:
    """Return whether a database holds a store."""
    return bool(connection.all("SELECT to_regclass('tb_migrations') IS NOT NULL AS found")[0]["found"])


def require_current(connection: PostgresConnection) -> None:
    """Raise `OutdatedStoreError` for an older schema, `StoreError` for a newer or edited one."""
    require_all(SQL, _applied(connection))


def migrate(connection: PostgresConnection) -> tuple[str, ...]:
    """Bring the schema up to date, and return which migrations that took. Raises `StoreError`."""
    _require_settings(connection)
    if not pending(SQL, _applied(connection)):
        return ()
    return connection.transact(lambda: _apply(connection))


def _apply(connection: PostgresConnection) -> tuple[str, ...]:
    connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS tb_migrations (name text PRIMARY KEY, checksum text NOT NULL)"
    )
    missing = pending(SQL, _applied(connection))
    for migration in missing:
        connection.run_script(migration.sql)
        row = migration._asdict()
        connection.execute("INSERT INTO tb_migrations (name, checksum) VALUES (:name, :checksum)", row)
    return tuple(migration.name for migration in missing)


def _require_settings(connection: PostgresConnection) -> None:
    """Raise `StoreError` for a database that could not hold every name and message, that forgets in a crash
    what it has acknowledged, or that shows a transaction nothing of what others commit meanwhile.
    """
    (found,) = connection.all(_SETTINGS)
    if found["encoding"] != "UTF8":
        create = "create one with ENCODING 'UTF8' TEMPLATE template0"
        raise StoreError(
            f"the store {connection.shown}: the database is encoded in {found['encoding']}; {create}"
        )
    for setting, value in (("synchronous_commit", "on"), ("default_transaction_isolation", "read committed")):
        if found[setting] in _UNFIT:
            change = f"for this user and database, run `ALTER ROLE ... SET {setting} = '{value}'`"
            raise StoreError(f"the store {connection.shown}: {setting} is {found[setting]}; {change}")


def _applied(connection: PostgresConnection) -> dict[str, str]:
    if not exists(connection):
        return {}
    rows = connection.all("SELECT name, checksum FROM tb_migrations ORDER BY name")
    return {row["name"]: row["checksum"] for row in rows}

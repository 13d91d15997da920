"""The SQL of the store on PostgreSQL, run by plain psycopg."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fraisier_core.store.relational import dialect
from fraisier_core.store.relational.reader import SHARED
from fraisier_core.system.host import Host

if TYPE_CHECKING:
    import psycopg

ROOT = Path(__file__).parent.parent
SQL = ROOT / "packages/fraisier-postgres/src/fraisier_postgres/sql"
NOON = "2026-01-31T12:00:00.000000Z"


class _Parameters(dict[str, Any]):
    def __missing__(self, key: str) -> None:
        return None


def set_up(connection: psycopg.Connection[Any]) -> None:
    """Make a store in the database of a connection."""
    from fraisier_postgres.postgres_store import PostgresStore

    PostgresStore.open(connection.info.dsn, Host()).close()
    connection.execute("DELETE FROM tb_migrations")  # what claims here names no version that it knows


def statements() -> dict[str, str]:
    """Return the statements by their names, as psycopg takes them."""
    from fraisier_postgres.clients import translated

    files = [(SQL, file.stem) for file in SQL.glob("*.sql")] + [(SHARED, "tokens")]
    named = (item for file in files for item in dialect.statements(*file).items())
    return {name: translated(sql) for name, sql in named}


def run(connection: psycopg.Connection[Any], statement: str, /, **parameters: Any) -> psycopg.Cursor[Any]:
    """Run a statement; parameters that are not given are NULL."""
    return connection.execute(statements()[statement].encode(), _Parameters(parameters))


def configure(connection: psycopg.Connection[Any], *places: tuple[str, str]) -> None:
    """Configure environments, each given as fraise and environment."""
    for fraise_id, environment in places:
        run(connection, "configure_fraise", fraise_id=fraise_id, type="site")
        run(connection, "configure_environment", fraise_id=fraise_id, environment=environment, position=0)


def request(connection: psycopg.Connection[Any], fraise_id: str, environment: str, **columns: Any) -> str:
    """Request a deployment and return its id."""
    row = {"deployment_id": str(uuid4()), "at": NOON, "kind": "deploy", "trigger": "webhook"}
    row |= {"fraise_id": fraise_id, "environment": environment}
    run(connection, "request", **row | columns)
    return str(row["deployment_id"])


def claim(connection: psycopg.Connection[Any], deployment_id: str, seconds: float = 60) -> int:
    """Take the lease of a deployment and claim it; return the token."""
    holder = {"host": "barn", "attempt": 1, "boot_id": "boot", "pid": 1, "pid_started": 1}
    taken = run(connection, "take_lease", deployment_id=deployment_id, **holder, seconds=seconds).fetchone()
    assert taken is not None
    append(connection, deployment_id, "claimed", token=taken[0], attempt=1)
    return int(taken[0])


def append(connection: psycopg.Connection[Any], deployment_id: str, event: str, **columns: Any) -> None:
    """Append an event of the host `barn` to a deployment."""
    row = {"deployment_id": deployment_id, "event": event, "at": NOON, "host": "barn", "attempt": 1}
    run(connection, "append", **row | columns)

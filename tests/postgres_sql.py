"""The SQL of the store on PostgreSQL, run by plain psycopg."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

ROOT = Path(__file__).parent.parent
SQL = ROOT / "packages/fraisier-postgres/src/fraisier_postgres/sql"
_PARAMETER = re.compile(r":(\w+)")


class _Parameters(dict[str, Any]):
    def __missing__(self, key: str) -> None:
        return None


def set_up(connection: psycopg.Connection[Any]) -> None:
    """Run the migrations in one transaction and add the kinds."""
    with connection.transaction():
        for migration in sorted((SQL / "migrations").glob("*.sql")):
            connection.execute(migration.read_bytes())
        for name, source, priority in (("deploy", "commit", 0), ("rollback", "release", 1)):
            kind = {"name": name, "source": source, "lane": "release", "priority": priority}
            run(connection, "add_kind", **kind, supersedes=True, shown=True)


def statements() -> dict[str, str]:
    """Return the statements by their names, as psycopg takes them."""
    blocks = [block for file in SQL.glob("*.sql") for block in file.read_text().split("-- name: ")[1:]]
    named = (block.partition("\n") for block in blocks)
    return {name.strip(): _PARAMETER.sub(r"%(\1)s", sql) for name, _, sql in named}


def run(connection: psycopg.Connection[Any], statement: str, /, **parameters: Any) -> psycopg.Cursor[Any]:
    """Run a statement; parameters that are not given are NULL."""
    return connection.execute(statements()[statement].encode(), _Parameters(parameters))

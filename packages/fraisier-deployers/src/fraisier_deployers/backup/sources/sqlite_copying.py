"""Copies an SQLite database: `python -m ...sources.sqlite_copying DATABASE COPY FACTS`. With the database
alone, it prints the facts.

By the online backup API, in one read transaction, so that the copy is of one moment and writers cannot make
it begin again. What the copy holds is counted, and written into a file. https://www.sqlite.org/backup.html
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from fraisier_core import die_with_parent

_PAGES = 10_000
_BUSY_SECONDS = 60.0
_TABLES = Path(__file__).with_name("sql") / "sqlite_tables.sql"


class DamagedError(Exception):
    """A database is not what it should be."""


def copy(database: Path, to: Path) -> None:
    """Copy a database to a new file. Raises `sqlite3.Error`."""
    with closing(_opened(database, "mode=ro")) as source, closing(sqlite3.connect(to)) as target:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema")
        source.backup(target, pages=_PAGES, progress=_progress)


def rows(database: Path) -> dict[str, int]:
    """Return the number of rows of each table of a database that is not being written. Raises
    `sqlite3.Error`, and `DamagedError` if an integrity check finds something.
    """
    with closing(_opened(database, "mode=ro&immutable=1")) as opened:
        ((found,),) = opened.execute("PRAGMA integrity_check(1)")
        if found != "ok":
            raise DamagedError(f"{database} is damaged: {found}")
        return {name: _count(opened, name) for (name,) in opened.execute(_TABLES.read_text()).fetchall()}


def _opened(database: Path, options: str) -> sqlite3.Connection:
    address = f"file:{quote(str(database))}?{options}"
    return sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _count(database: sqlite3.Connection, name: str) -> int:
    quoted = name.replace('"', '""')
    ((count,),) = database.execute(f'SELECT count(*) FROM "{quoted}"')  # noqa: S608 - it is quoted
    return int(count)


def _progress(_: int, remaining: int, total: int) -> None:
    print(f"copied {total - remaining} of {total} pages", flush=True)  # noqa: T201


def main(database: str, *to: str) -> int:
    """Copy, or count alone, and return an exit status."""
    try:
        if to:
            copy(Path(database), Path(to[0]))
        found = json.dumps({"tables": rows(Path(to[0] if to else database))})
        Path(to[1] if to else "/dev/stdout").write_text(found)
    except (sqlite3.Error, DamagedError, OSError) as error:
        print(f"{database}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    die_with_parent(os.getppid())
    sys.exit(main(*sys.argv[1:]))

"""What the migrations make, read from their text: who checks a store may not be allowed to make another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from fraisier_core.store.relational.migrations import migrations

from fraisier_postgres.postgres_migrations import SQL

_OBJECT = re.compile(
    r"^(CREATE|DROP) (?:OR REPLACE |UNIQUE )?(?:INDEX|TRIGGER|VIEW|TABLE|SEQUENCE) (?:IF EXISTS )?(\w+)",
    re.MULTILINE,
)
_FUNCTION = re.compile(
    r"^CREATE (?:OR REPLACE )?FUNCTION (\w+)\(.*?AS \$\$(.*?)\$\$", re.MULTILINE | re.DOTALL
)
_TABLE = re.compile(r"^CREATE TABLE (\w+) \((.*?)^\)", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    ([a-z_]\w*) +\S.*$", re.MULTILINE)
_KEYS = re.compile(r"^    (PRIMARY KEY|UNIQUE|FOREIGN KEY) \((.*?)\)", re.MULTILINE)
_ENDINGS = {
    "PRIMARY KEY": "pkey",
    "UNIQUE": "key",
    "FOREIGN KEY": "fkey",
    "REFERENCES": "fkey",
    "CHECK": "check",
    "AS IDENTITY": "seq",
}


@cache
def made_objects() -> Mapping[str, str | None]:
    """Return the names of all that the migrations make and, of functions, the source."""
    made: dict[str, str | None] = {"tb_migrations": None, "tb_migrations_pkey": None}
    for migration in migrations(SQL):
        for verb, name in _OBJECT.findall(migration.sql):
            made.pop(name, None) if verb == "DROP" else made.setdefault(name)
        for table, columns in _TABLE.findall(migration.sql):
            made.update(dict.fromkeys(_named_by_postgresql(table, columns)))
        made.update((f"{name}()", source) for name, source in _FUNCTION.findall(migration.sql))
    return made


def _named_by_postgresql(table: str, columns: str) -> Iterator[str]:
    """Yield the names that PostgreSQL gives the constraints and sequences of a table."""
    for line in _COLUMN.finditer(columns):
        for words, ending in _ENDINGS.items():
            if words in line[0]:
                yield f"{table}_pkey" if ending == "pkey" else f"{table}_{line[1]}_{ending}"
    for words, names in _KEYS.findall(columns):
        place = [] if words == "PRIMARY KEY" else names.split(", ")
        yield "_".join([table, *place, _ENDINGS[words]])

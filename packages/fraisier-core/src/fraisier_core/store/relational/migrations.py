"""Forward-only migrations: the files that make the tables, and which of them a store lacks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fraisier_core.errors import OutdatedStoreError, StoreError


class Migration(NamedTuple):
    """One file of `sql/migrations`; the checksum is the SHA-256 of its text, in hex."""

    name: str
    checksum: str
    sql: str


@cache
def migrations(dialect: Path) -> tuple[Migration, ...]:
    """Return the migrations that this version knows, in order.

    Args:
        dialect: the folder of the database's statements.
    """
    texts = sorted((entry.name, entry.read_text()) for entry in (dialect / "migrations").glob("*.sql"))
    return tuple(Migration(name, hashlib.sha256(sql.encode()).hexdigest(), sql) for name, sql in texts)


def pending(dialect: Path, applied: Mapping[str, str]) -> list[Migration]:
    """Return the migrations that a store lacks. Raises `StoreError` for a newer or edited one.

    Args:
        dialect: the folder of the database's statements.
        applied: the checksums of those that it has, by their names.
    """
    known = {migration.name: migration for migration in migrations(dialect)}
    if newer := sorted(applied.keys() - known.keys()):
        raise _newer(newer[-1])
    if edited := [name for name, checksum in applied.items() if known[name].checksum != checksum]:
        differs = f"migration {edited[0]} differs from the one applied to this store"
        raise StoreError(f"{differs}; reinstall the released version")
    return [migration for migration in known.values() if migration.name not in applied]


def require_known(dialect: Path, newest: str) -> None:
    """Raise `StoreError` if a newer version has migrated the store.

    Args:
        dialect: the folder of the database's statements.
        newest: the name of the last migration that the store has.
    """
    if newest not in {migration.name for migration in migrations(dialect)}:
        raise _newer(newest)


def require_all(dialect: Path, applied: Mapping[str, str]) -> None:
    """Raise `OutdatedStoreError` for a store that lacks some, `StoreError` for a newer or edited one."""
    if missing := pending(dialect, applied):
        error = OutdatedStoreError("an older version of Fraisier made the store; run `fraisier db migrate`")
        error.pending = tuple(migration.name for migration in missing)
        raise error


def _newer(migration: str) -> StoreError:
    return StoreError(f"a newer version of Fraisier made the store (it has {migration}); upgrade this one")

"""The databases that a store can be kept in, for what has to hold on each of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Protocol

import pytest
from fraisier_core.system.host import Host

from tests.postgres import USUAL, VERSIONS, Servers
from tests.postgres_server import Server
from tests.stores import OpenStore, open_store

NAMES = ("sqlite", *(f"postgresql-{version}" for version in VERSIONS))

WITH_FUNCTIONS = f"postgresql-{USUAL}-functions"
"""A store that fraiseql-server serves, with its functions and triggers in it."""

every_database = pytest.mark.parametrize("database_name", NAMES)
"""Run a test on SQLite, and on PostgreSQL of every version."""
both_databases = pytest.mark.parametrize("database_name", ["sqlite", f"postgresql-{USUAL}"])
"""Run a test on SQLite and on PostgreSQL."""


class Database(Protocol):
    """Where a test keeps a store."""

    @property
    def url(self) -> str:
        """The address, as `database.url` has it."""

    def open(self, host: Host | None = None) -> OpenStore:
        """Open the store, made if it is missing; by default for this host."""

    def clear(self) -> None:
        """Forget everything that the store holds."""


class SqliteDatabase:
    """A file, which is not made before the store is opened."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite://{path}"
        self._path = path

    def open(self, host: Host | None = None) -> OpenStore:
        return open_store(self._path, host=host)

    def clear(self) -> None:
        for left in self._path.parent.glob(f"{self._path.name}*"):
            left.unlink()


class PostgresDatabase:
    """A database that holds a store already: to empty it takes a twentieth of the time of a new one."""

    def __init__(self, url: str) -> None:
        self.url = url

    def open(self, host: Host | None = None) -> OpenStore:
        from tests.postgres_stores import OpenPostgresStore  # only those need it who use PostgreSQL

        return OpenPostgresStore.open(self.url, host or Host())

    def clear(self) -> None:
        from tests.postgres_stores import clear

        clear(self.url)


def new_postgres(server: Server) -> PostgresDatabase:
    """Create a database with an empty store in it, which lasts as long as the server."""
    name = server.create(server.template("empty_store", _make_store))
    # No lease expires while the server has just been started, so the store is told that it was not.
    server.execute(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
    return PostgresDatabase(server.url(name))


def _make_store(url: str) -> None:
    with closing(PostgresDatabase(url).open()) as store:
        for started in ("pg_postmaster_start_time", "pg_stat_get_bgwriter_stat_reset_time"):
            function = f"FUNCTION public.{started}() RETURNS timestamptz"
            store.execute(f"CREATE {function} LANGUAGE sql STABLE RETURN timestamptz '-infinity'")


@pytest.fixture
def database_name() -> str:
    """Which database a test runs on; see `every_database` and `both_databases`."""
    return "sqlite"


@pytest.fixture(scope="session")
def postgres_databases(postgres_servers: Servers) -> Callable[[str], PostgresDatabase]:
    """The databases of the tests of this process, one for each name but that of SQLite."""
    return cache(lambda name: _kept_postgres(postgres_servers(version_of(name)), name))


def version_of(name: str) -> int:
    """Return the version of PostgreSQL that is part of a database's name."""
    return int(name.split("-")[1])


def _kept_postgres(server: Server, name: str) -> PostgresDatabase:
    database = new_postgres(server)
    if name == WITH_FUNCTIONS:
        from tests.graphql.fraiseql_server import make_functions  # which needs what few have built

        make_functions(server, database.url)
    return database


@pytest.fixture
def database(
    database_name: str, tmp_path: Path, postgres_databases: Callable[[str], PostgresDatabase]
) -> Database:
    """An empty store of the test's own."""
    if database_name == "sqlite":
        return SqliteDatabase(tmp_path / "state" / "store.db")
    found = postgres_databases(database_name)
    found.clear()
    return found

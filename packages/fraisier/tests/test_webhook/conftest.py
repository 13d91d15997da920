"""The hosts on which the tests of the web app take place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Database, PostgresDatabase, new_postgres
from tests.postgres import USUAL, Servers

from .installation import Installation, Server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of what the shared web app answers and records on PostgreSQL too."""
    name = "postgres_of_server"
    if name in metafunc.fixturenames and metafunc.module.__name__.endswith("test_answers"):
        metafunc.parametrize(name, [None, USUAL], ids=["sqlite", "postgresql"], scope="package")


@pytest.fixture
def installation(tmp_path: Path, database: Database) -> Installation:
    """A host of the test's own, on which nothing runs yet."""
    postgres = database if isinstance(database, PostgresDatabase) else None
    return Installation.create(tmp_path / "installation", postgres=postgres)


@pytest.fixture(scope="package")
def postgres_of_server() -> int | None:
    """Which version of PostgreSQL the shared web app has its store on, if not on SQLite."""
    return None


@pytest.fixture(scope="package")
def server(
    tmp_path_factory: pytest.TempPathFactory, postgres_servers: Servers, postgres_of_server: int | None
) -> Iterator[Server]:
    """A web app without a worker, shared by tests that tell their deliveries apart."""
    postgres = new_postgres(postgres_servers(postgres_of_server)) if postgres_of_server else None
    folder = tmp_path_factory.mktemp("shared") / "installation"
    with Installation.create(folder, postgres=postgres).serving() as server:
        yield server

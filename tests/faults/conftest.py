"""A driver for each test; what is shared is the warm interpreter alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import Database, PostgresDatabase
from tests.faults.driver import Driver, Warm
from tests.postgres import Server


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    process = Warm()
    yield process
    process.close()


@pytest.fixture
def driver(tmp_path: Path, warm: Warm, database: Database) -> Iterator[Driver]:
    postgres = database if isinstance(database, PostgresDatabase) else None
    with closing(Driver.create(tmp_path, warm, postgres)) as found:
        yield found


@pytest.fixture
def driver_on_server(tmp_path: Path, warm: Warm, postgres_server: Server) -> Iterator[Driver]:
    """A driver whose store is on a server that the test may stop and kill."""
    with closing(Driver.create(tmp_path, warm, PostgresDatabase(postgres_server.url()))) as found:
        yield found

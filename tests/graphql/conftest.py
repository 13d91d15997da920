"""A host with the API, and stores to ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import Database, SqliteDatabase, new_postgres
from tests.graphql.asking import Asker
from tests.graphql.serving import Api, Host
from tests.played import Player
from tests.postgres import USUAL, Servers
from tests.stores import OpenStore


@pytest.fixture
def host(tmp_path: Path, database: Database) -> Host:
    """A host in development, on which nothing was deployed."""
    return Host.create(tmp_path / "host", database)


@pytest.fixture
def api(host: Host) -> Iterator[Api]:
    """Its API."""
    with host.serving() as api:
        yield api


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def played_database(
    request: pytest.FixtureRequest, postgres_servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Database:
    """A database whose store has a history; it is not to be changed."""
    place = tmp_path_factory.mktemp("played") / "store" / "fraisier.db"
    is_sqlite = request.param == "sqlite"
    database: Database = SqliteDatabase(place) if is_sqlite else new_postgres(postgres_servers(USUAL))
    with closing(database.open()) as store:
        Player(store).play(250)
    return database


@pytest.fixture(scope="package")
def played(played_database: Database) -> Iterator[OpenStore]:
    """The store that has a history."""
    with closing(played_database.open()) as store:
        yield store


@pytest.fixture(scope="package")
def asker(played_database: Database) -> Iterator[Asker]:
    """Answers from the store that has a history."""
    with closing(Asker(played_database)) as asker:
        yield asker

"""A host with the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Database
from tests.graphql.serving import Api, Host


@pytest.fixture
def host(tmp_path: Path, database: Database) -> Host:
    """A host in development, on which nothing was deployed."""
    return Host.create(tmp_path / "host", database)


@pytest.fixture
def api(host: Host) -> Iterator[Api]:
    """Its API."""
    with host.serving() as api:
        yield api

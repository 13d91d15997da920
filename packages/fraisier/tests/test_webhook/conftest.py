"""The hosts on which the tests of the web app take place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .installation import Installation, Server


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """A host of the test's own, on which nothing runs yet."""
    return Installation.create(tmp_path / "installation")


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A web app without a worker, shared by tests that tell their deliveries apart."""
    with Installation.create(tmp_path_factory.mktemp("shared") / "installation").serving() as server:
        yield server

"""The hosts on which the tests of the web app take place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .site import Server, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A host of the test's own, on which nothing runs yet."""
    return Site.create(tmp_path / "site")


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A web app without a worker, shared by tests that tell their deliveries apart."""
    with Site.create(tmp_path_factory.mktemp("shared") / "site").serving() as server:
        yield server

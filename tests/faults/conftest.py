"""A driver for each test; what is shared is the warm interpreter alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.driver import Driver, Warm


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    process = Warm()
    yield process
    process.close()


@pytest.fixture
def driver(tmp_path: Path, warm: Warm) -> Iterator[Driver]:
    found = Driver.create(tmp_path, warm)
    yield found
    found.kill_all()

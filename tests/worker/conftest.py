"""A worker for each test, on the database of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import Database
from tests.worker.installation import Installation


@pytest.fixture
def installation(tmp_path: Path, database: Database) -> Iterator[Installation]:
    with closing(Installation(tmp_path, database.url, database.open)) as found:
        yield found

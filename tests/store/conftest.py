"""What a store promises holds on every database."""

from __future__ import annotations

import pytest

from tests.databases import NAMES


@pytest.fixture(params=NAMES)
def database_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)

"""What a store promises holds on every database, and where fraiseql-server serves it."""

from __future__ import annotations

import pytest

from tests.databases import NAMES, WITH_FUNCTIONS


@pytest.fixture(params=[*NAMES, WITH_FUNCTIONS])
def database_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)

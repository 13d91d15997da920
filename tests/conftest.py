"""What the tests that cross packages share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.environments import build_wheels, download_wheels
from tests.sharing import made_once

collect_ignore = ["third_party"]  # a package of its own, tested in an environment of its own


@pytest.fixture(scope="session")
def wheels(shared_folder: Path) -> Path:
    """A folder with the wheel of each of our packages."""
    return made_once(shared_folder / "wheels", build_wheels)


@pytest.fixture(scope="session")
def wheelhouse(shared_folder: Path) -> Path:
    """A folder with the locked wheel of everything that the application needs."""
    return made_once(shared_folder / "wheelhouse", download_wheels)

"""The place in which every test of the command takes place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fraisier_core.testing import Forge
from fraisier_core.testing.packages import PackageFolder

from .place import CONFIG, DEPLOYER, Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A configuration that was never deployed."""
    packages = PackageFolder(tmp_path / "packages")
    packages.folder.mkdir()
    packages.deployer("script", DEPLOYER)
    forge = Forge.create(tmp_path / "forge")
    environ = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(packages.folder),
    }
    place = Place(tmp_path / "place", forge, packages, environ)
    place.folder.mkdir()
    place.config.write_text(CONFIG.format(url=forge.url))
    return place

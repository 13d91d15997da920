"""The place in which every test of the command takes installation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fraisier_core.testing import Forge

from tests.packages import PackageFolder

from .installation import CONFIG, DEPLOYER, Installation


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
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
    made = Installation(tmp_path / "installation", forge, packages, environ)
    made.folder.mkdir()
    made.config.write_text(CONFIG.format(url=forge.url))
    return made

"""The place in which every test of the command takes installation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fraisier_core.testing import Forge

from tests.databases import Database, PostgresDatabase
from tests.packages import PackageFolder

from .installation import CONFIG, DEPLOYER, Installation


@pytest.fixture
def installation(tmp_path: Path, database: Database) -> Installation:
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
    postgres = database if isinstance(database, PostgresDatabase) else None
    made = Installation(tmp_path / "installation", forge, packages, environ, postgres)
    made.folder.mkdir()
    url = f"database: {{url: '{postgres.url}'}}\n" if postgres else ""
    made.config.write_text(url + CONFIG.format(url=forge.url))
    return made

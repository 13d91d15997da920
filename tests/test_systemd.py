"""Runs `tests/systemd` inside a real systemd, in a sandbox of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.sandbox import Sandbox

MODULES = sorted((ROOT / "tests/systemd").glob("test_*.py"))


@pytest.mark.usefixtures("real_systemd")
@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_it_works_with_a_real_systemd(module: Path, wheelhouse: Path, tmp_path: Path) -> None:
    pytest_inside = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(module)]
    done = Sandbox(tmp_path, wheelhouse).once("env", "CI=1", *pytest_inside)
    assert done.returncode == 0, done.stdout

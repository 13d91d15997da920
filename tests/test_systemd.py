"""Runs `tests/systemd` inside a real systemd, in sandboxes of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.sandbox import Sandbox

MODULES = sorted((ROOT / "tests/systemd").glob("test_*.py"))
JOBS = ROOT / "tests/systemd/test_job_units.py"
UNITS = [
    ROOT / f"tests/systemd/test_{name}.py"
    for name in ("backup_timer", "etl_page", "installing_units", "limits", "memory_kills")
]

pytestmark = pytest.mark.usefixtures("real_systemd")


def follow(folder: Path, wheelhouse: Path, *modules: Path) -> None:
    """Run modules in one sandbox."""
    pytest_inside = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *map(str, modules)]
    done = Sandbox(folder, wheelhouse).once("env", "CI=1", *pytest_inside)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module", [path for path in MODULES if path not in {JOBS, *UNITS}], ids=lambda path: path.stem
)
def test_it_works_with_a_real_systemd(module: Path, wheelhouse: Path, tmp_path: Path) -> None:
    follow(tmp_path, wheelhouse, module)


class TestUnits:
    """What another process of pytest may do meanwhile."""

    def test_they_work_with_a_real_systemd(self, wheelhouse: Path, tmp_path: Path) -> None:
        follow(tmp_path, wheelhouse, *UNITS)


class TestJobs:
    """As above."""

    def test_they_work_with_a_real_systemd(self, wheelhouse: Path, tmp_path: Path) -> None:
        follow(tmp_path, wheelhouse, JOBS)

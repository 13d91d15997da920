"""Runs `tests/systemd` inside a real systemd, in sandboxes of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.sandbox import Sandbox

MODULES = sorted((ROOT / "tests/systemd").glob("test_*.py"))
OF_JOBS = {"test_installing_units", "test_job_units", "test_limits", "test_memory_kills"}

pytestmark = pytest.mark.usefixtures("real_systemd")


def follow(folder: Path, wheelhouse: Path, *modules: Path) -> None:
    """Run modules in one sandbox."""
    pytest_inside = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *map(str, modules)]
    done = Sandbox(folder, wheelhouse).once("env", "CI=1", *pytest_inside)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module", [path for path in MODULES if path.stem not in OF_JOBS], ids=lambda path: path.stem
)
def test_it_works_with_a_real_systemd(module: Path, wheelhouse: Path, tmp_path: Path) -> None:
    follow(tmp_path, wheelhouse, module)


class TestJobs:
    """What two processes of pytest may do at the same time."""

    def test_they_work_with_a_real_systemd(self, wheelhouse: Path, tmp_path: Path) -> None:
        follow(tmp_path, wheelhouse, *(path for path in MODULES if path.stem in OF_JOBS))

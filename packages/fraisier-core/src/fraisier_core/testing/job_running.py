"""Tests of the hook `run_job`; a type without it passes them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fraisier_core.plugins import Deployer
from fraisier_core.release import Release
from fraisier_core.testing.fake_run import FakeRun
from fraisier_core.testing.written_releases import DeployerReleases, Section, directory


class JobTests(DeployerReleases):
    """The part of `DeployerConformance` about jobs."""

    def test_a_job_is_run_with_its_arguments(self, deployer: Deployer, tmp_path: Path) -> None:
        if self.has_jobs:
            run = self._run_of_job(deployer, tmp_path, 'echo "$# $1"', "a word", "another")
            deployer.call("run_job", run, run.release)
            assert "2 a word" in run.output
            assert (run.failed, run.activations) == ([], []), "a job changes nothing that serves"

    def test_a_job_that_fails_raises(self, deployer: Deployer, tmp_path: Path) -> None:
        if self.has_jobs:
            run = self._run_of_job(deployer, tmp_path, "exit 3")
            with pytest.raises(Exception, match=r"."):
                deployer.call("run_job", run, run.release)

    def _run_of_job(self, deployer: Deployer, folder: Path, script: str, *arguments: str) -> FakeRun[Any]:
        path = directory(folder, "1")
        section: Section = {**self.job(path, script), "app_path": folder / "app"}
        settings = deployer.settings_model.model_validate(section)
        return FakeRun(settings, Release("1", path, "1" * 40), arguments=arguments)

"""Tests of the hook `run_job`; a type without it passes them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fraisier_core.plugins import Deployer
from fraisier_core.release import Release
from fraisier_core.testing.fake_run import FakeRun
from fraisier_core.testing.in_engine import (
    LASTING,
    PRINTING,
    assert_cancelled,
    assert_no_secret_shown,
    assert_serves,
    cancelling,
)
from fraisier_core.testing.installation import Installation
from fraisier_core.testing.written_releases import DeployerReleases, Section, directory
from fraisier_core.text.redaction import MASK


class JobTests(DeployerReleases):
    """The part of `DeployerConformance` about jobs."""

    def test_a_run_is_recorded_and_changes_nothing_that_serves(self, installation: Installation) -> None:
        if self.has_jobs:
            serving = self._installed(installation, 'echo "$# $1"')
            done = installation.execute(kind="run", arguments=("a word", "another"))
            assert done.status == "success", done.error_message
            assert "2 a word" in installation.output(done)
            assert_serves(installation, serving)

    def test_a_job_that_fails_fails_its_run_and_the_release_stays(self, installation: Installation) -> None:
        if self.has_jobs:
            serving = self._installed(installation, "exit 3")
            done = installation.execute(kind="run")
            assert done.status == "failed", "what the job runs exits with status 3"
            assert_serves(installation, serving)

    def test_cancel_ends_all_that_a_job_started(self, installation: Installation) -> None:
        if self.has_jobs:
            self._installed(installation, LASTING.format(folder=installation.folder))
            done = installation.execute(kind="run", meanwhile=cancelling(installation))
            assert_cancelled(installation, done)

    def test_no_secret_leaves_a_job_unredacted(self, installation: Installation) -> None:
        if self.has_jobs:
            self._installed(installation, PRINTING)
            done = installation.execute(kind="run")
            assert_no_secret_shown(installation, done)
            assert f"secret: {MASK}" in installation.output(done), "the output is missing"

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

    def _installed(self, installation: Installation, script: str) -> str | None:
        """Deploy a release whose job runs a script, and return its name."""
        done = installation.execute(installation.push(self.job_script(script)))
        assert done.status == "success", done.error_message
        return done.release

    def _run_of_job(self, deployer: Deployer, folder: Path, script: str, *arguments: str) -> FakeRun[Any]:
        path = directory(folder, "1")
        section: Section = {**self.job(path, script), "app_path": folder / "app"}
        settings = deployer.settings_model.model_validate(section)
        return FakeRun(settings, Release("1", path, "1" * 40), arguments=arguments)

"""Tests of the hook `run_job`; a type without it skips them all."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fraisier_core.plugins import Deployer
from fraisier_core.release import Release
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.testing.fake_run import FakeRun
from fraisier_core.testing.in_engine import (
    PRINTING,
    assert_ended,
    assert_no_secret_shown,
    assert_serves,
    cancelling,
    wait_for,
)
from fraisier_core.testing.installation import Installation
from fraisier_core.testing.written_releases import DeployerReleases, Section, directory
from fraisier_core.text.redaction import MASK

EVALUATING = 'eval "$1"'
TOO_LONG = 0.3


class JobTests(DeployerReleases):
    """The part of `DeployerConformance` about jobs."""

    @pytest.fixture(scope="class")
    @classmethod
    def jobs(cls, tmp_path_factory: pytest.TempPathFactory) -> Installation:
        """An environment to which a release is deployed whose job runs its first argument as a script. All
        tests share it: no run changes anything for another.
        """
        said = cls()
        said.require_jobs()
        installation = Installation(tmp_path_factory.mktemp("jobs"), cls.plugin.__name__)
        done = installation.execute(installation.push(lambda release: said.job(release, EVALUATING)))
        assert done.status == "success", done.error_message
        return installation

    def test_a_run_is_recorded_and_changes_nothing_that_serves(self, jobs: Installation) -> None:
        serving = jobs.linked()
        done = jobs.execute(kind="run", arguments=('echo "$# $2"', "a word", "another"))
        assert done.status == "success", done.error_message
        assert "3 a word" in jobs.output(done)
        assert_serves(jobs, serving)

    def test_a_job_that_fails_fails_its_run_and_the_release_stays(self, jobs: Installation) -> None:
        serving = jobs.linked()
        done = jobs.execute(kind="run", arguments=("exit 3",))
        assert done.status == "failed", "what the job runs exits with status 3"
        assert_serves(jobs, serving)

    def test_a_job_that_fails_is_tried_again(self, jobs: Installation, tmp_path: Path) -> None:
        eager = with_settings(jobs, retries={"count": 1, "delay": 0})
        script = f"test -e {tmp_path}/tried || {{ touch {tmp_path}/tried; exit 1; }}"
        done = eager.execute(kind="run", arguments=(script,))
        assert done.status == "success", f"what the job runs fails only once: {done.error_message}"

    @pytest.mark.parametrize("limit", ["timeout", "silence_timeout"])
    def test_a_job_that_exceeds_its_time_is_ended(
        self, jobs: Installation, tmp_path: Path, limit: str
    ) -> None:
        hurried = with_settings(jobs, **{limit: TOO_LONG})
        done = hurried.execute(kind="run", arguments=(self.lasting_script(tmp_path),))
        assert_ended(done, "failed", tmp_path)

    def test_cancel_ends_all_that_a_job_started(self, jobs: Installation, tmp_path: Path) -> None:
        script = self.lasting_script(tmp_path)
        done = jobs.execute(kind="run", arguments=(script,), meanwhile=cancelling(jobs, tmp_path))
        assert_ended(done, "cancelled", tmp_path)

    def test_no_secret_leaves_a_job_unredacted(self, jobs: Installation) -> None:
        done = jobs.execute(kind="run", arguments=(PRINTING,))
        assert_no_secret_shown(jobs, done)
        assert f"secret: {MASK}" in jobs.output(done), "the output is missing"

    def test_a_run_that_is_killed_is_interrupted_and_the_next_succeeds(
        self, jobs: Installation, tmp_path: Path
    ) -> None:
        script = self.lasting_script(tmp_path)
        killed = jobs.execute(kind="run", arguments=(script,), meanwhile=killing(tmp_path))
        assert_ended(killed, "interrupted", tmp_path)
        assert_runs(jobs, script)
        points = [f"step_{name}{when}" for name in jobs.last_steps for when in ("", "_finished")]
        for point in points:
            killed = jobs.execute(kind="run", arguments=(script,), killed_at=point)
            assert killed.status == "interrupted", f"killed at {point}: {killed.error_message}"
        assert_runs(jobs, script)

    def test_a_job_is_run_with_its_arguments(self, deployer: Deployer, tmp_path: Path) -> None:
        self.require_jobs()
        run = self._run_of_job(deployer, tmp_path, 'echo "$# $1"', "a word", "another")
        deployer.call("run_job", run, run.release)
        assert "2 a word" in run.output
        assert (run.failed, run.activations) == ([], []), "a job changes nothing that serves"

    def test_a_job_that_fails_raises(self, deployer: Deployer, tmp_path: Path) -> None:
        self.require_jobs()
        run = self._run_of_job(deployer, tmp_path, "exit 3")
        with pytest.raises(Exception, match=r"."):
            deployer.call("run_job", run, run.release)

    def _run_of_job(self, deployer: Deployer, folder: Path, script: str, *arguments: str) -> FakeRun[Any]:
        path = directory(folder, "1")
        section: Section = {**self.job(path, script), "app_path": folder / "app"}
        settings = deployer.settings_model.model_validate(section)
        return FakeRun(settings, Release("1", path, "1" * 40), arguments=arguments)


def with_settings(installation: Installation, **keys: object) -> Installation:
    """Return the same environment with keys added to its section."""
    return replace(installation, section={**installation.section, **keys})


def killing(folder: Path) -> Callable[[str, ProcessIdentity], None]:
    """Return what kills a deployment process once its lasting script has begun."""

    def kill(_: str, process: ProcessIdentity) -> None:
        wait_for(folder / "begun", process)
        os.kill(process.pid, signal.SIGKILL)

    return kill


def assert_runs(installation: Installation, script: str) -> None:
    """Assert that a run of a script succeeds."""
    done = installation.execute(kind="run", arguments=(script,))
    assert done.status == "success", f"after a run that was killed: {done.error_message}"

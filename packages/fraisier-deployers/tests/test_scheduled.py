from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fraisier_core import CommandFailedError, Release, StepFailedError
from fraisier_core.testing import DeployerConformance, FakeRun
from fraisier_deployers import scheduled
from fraisier_deployers.scheduled import ScheduledSettings
from pydantic import ValidationError

NIGHTLY = {"schedule": "30 2 * * *"}


class TestScheduled(DeployerConformance):
    plugin = scheduled

    def working(self, release: Path) -> Mapping[str, object]:
        (release / "build.sh").write_text("#!/bin/sh\necho built > built")
        return {**NIGHTLY, "command": ["cat", "built"]}

    def failing(self, release: Path) -> Mapping[str, object]:
        return {**NIGHTLY, "command": ["true"], "build": ["false"]}

    def failing_late(self, release: Path) -> None:
        return None

    def running(self, release: Path, script: str) -> Mapping[str, object]:
        (release / "build.sh").write_text(f"#!/bin/sh\n{script}\n")
        return {**NIGHTLY, "command": ["true"]}

    def job(self, release: Path, script: str) -> Mapping[str, object]:
        (release / "job.sh").write_text(script)
        return {**NIGHTLY, "command": ["sh", "job.sh"]}


def made_run(folder: Path, *arguments: str, **section: Any) -> FakeRun[ScheduledSettings]:
    """Return a run of an empty release, with these keys in its section."""
    release = folder / "releases" / "1"
    release.mkdir(parents=True)
    settings = ScheduledSettings(app_path=folder / "app", **{**NIGHTLY, **section})
    return FakeRun(settings, Release("1", release, "1" * 40), arguments=arguments)


def test_a_deployment_installs_the_code_and_runs_nothing(tmp_path: Path) -> None:
    run = made_run(tmp_path, build=["true", "build"], command=["true", "job"])
    scheduled.deploy(run)
    assert run.steps == ["build", "activate"]
    assert run.commands == [("true", "build")]


def test_the_job_is_the_command_with_the_arguments_of_the_run(tmp_path: Path) -> None:
    run = made_run(tmp_path, "--since", "two days ago", command=["echo", "report"])
    scheduled.run_job(run)
    assert run.steps == ["run"]
    assert run.commands == [("echo", "report", "--since", "two days ago")]
    assert run.output == "report --since two days ago\n"


def test_the_job_may_be_a_script_of_the_release(tmp_path: Path) -> None:
    run = made_run(tmp_path, "now", script_path="report.py")
    (run.release.path / "report.py").write_text("#!/usr/bin/env python3\nimport sys; print(sys.argv[1:])\n")
    scheduled.run_job(run)
    assert run.output == "['now']\n"


def test_a_release_without_the_script_is_not_activated(tmp_path: Path) -> None:
    run = made_run(tmp_path, script_path="report.py", migrate=["true"])
    with pytest.raises(StepFailedError, match=r"no file report\.py"):
        scheduled.deploy(run)
    assert (run.activations, run.commands) == ([], [])


@pytest.mark.parametrize("command", [["false"], ["sh", "-c", "exit 75"], ["not-installed"]])
def test_a_command_that_fails_fails_the_run(tmp_path: Path, command: list[str]) -> None:
    with pytest.raises(CommandFailedError):
        scheduled.run_job(made_run(tmp_path, command=command))


def test_a_rollback_activates_and_runs_nothing(tmp_path: Path) -> None:
    run = made_run(tmp_path, command=["false"])
    scheduled.rollback(run, run.release)
    assert (run.steps, run.commands) == (["activate"], [])


@pytest.mark.parametrize("job", [{}, {"command": ["true"], "script_path": "report.py"}])
def test_there_is_one_job(job: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="either command or script_path"):
        ScheduledSettings.model_validate({**NIGHTLY, **job})


@pytest.mark.parametrize("schedule", [{}, {"schedule": None}, {"schedule": ""}, {"schedule": {}}])
def test_a_schedule_is_required(schedule: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="schedule"):
        ScheduledSettings.model_validate({"command": ["true"], **schedule})

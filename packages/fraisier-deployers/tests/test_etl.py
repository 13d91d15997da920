from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fraisier_core import CommandFailedError, Release, StepFailedError
from fraisier_core.testing import DeployerConformance, FakeRun
from fraisier_deployers import etl
from fraisier_deployers.etl import EtlSettings
from pydantic import ValidationError

SCRIPT = "jobs/load.sh"


class TestEtl(DeployerConformance):
    plugin = etl

    def working(self, release: Path) -> Mapping[str, object]:
        write_script(release / "build.sh", "echo built > built")
        write_script(release / SCRIPT, "cat built")
        return {"migrate": ["test", "-e", "built"], "script_path": SCRIPT}

    def failing(self, release: Path) -> Mapping[str, object]:
        write_script(release / SCRIPT, "true")
        return {"migrate": ["false"], "script_path": SCRIPT}

    def failing_late(self, release: Path) -> None:
        return None

    def running(self, release: Path, script: str) -> Mapping[str, object]:
        write_script(release / "build.sh", script)
        return self.job(release, "true")

    def job(self, release: Path, script: str) -> Mapping[str, object]:
        write_script(release / SCRIPT, script)
        return {"script_path": SCRIPT}


MakeRun = Callable[..., FakeRun[EtlSettings]]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that makes a run of a release with this script and these keys in its section."""

    def make(
        script: str = "true", *, arguments: tuple[str, ...] = (), **section: Any
    ) -> FakeRun[EtlSettings]:
        path = tmp_path / "releases" / "1"
        write_script(path / SCRIPT, script)
        settings = EtlSettings(app_path=tmp_path / "app", **{"script_path": SCRIPT, **section})
        return FakeRun(settings, Release("1", path, "1" * 40), arguments=arguments)

    return make


def write_script(path: Path, text: str, mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)


def test_a_deployment_installs_the_code_and_runs_nothing(make_run: MakeRun) -> None:
    run = make_run("echo the job ran", build=["true", "build"], migrate=["true", "migrate"])
    etl.deploy(run)
    assert run.steps == ["build", "migrate", "activate"]
    assert run.unrepeatable == ["migrate"]
    assert "the job ran" not in run.output


@pytest.mark.parametrize("script_path", ["load.sh", "jobs", "jobs/load.sh/more"])
def test_a_release_without_the_script_is_not_activated(make_run: MakeRun, script_path: str) -> None:
    run = make_run(script_path=script_path, migrate=["true"])
    with pytest.raises(StepFailedError, match=f"no file {script_path}: correct script_path"):
        etl.deploy(run)
    assert (run.activations, run.commands) == ([], [])


def test_the_build_may_make_the_script(make_run: MakeRun) -> None:
    run = make_run(script_path="made.sh", build=["cp", SCRIPT, "made.sh"])
    etl.deploy(run)
    assert run.activations == [run.release]


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_the_job_is_the_script_in_its_release(make_run: MakeRun, mode: int) -> None:
    run = make_run("echo ran in $PWD")
    (run.release.path / SCRIPT).chmod(mode)
    etl.run_job(run)
    assert (run.steps, run.commands) == (["run"], [(f"./{SCRIPT}",)])
    assert f"ran in {run.release.path}\n" in run.output
    assert run.activations == []


@pytest.mark.parametrize("arguments", [("--full",), ("two words", ""), ("$HOME", "*", "; false")])
def test_the_script_is_given_the_arguments_as_they_are(make_run: MakeRun, arguments: tuple[str, ...]) -> None:
    run = make_run('printf "[%s]" "$@"', arguments=arguments)
    etl.run_job(run)
    assert run.output.endswith("".join(f"[{each}]" for each in arguments))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo three rows; exit 3", "exited with status 3"),
        ("kill -TERM $$", "signal 15"),
        ("sleep 60", "0.2 s"),
    ],
)
def test_a_script_that_fails_fails_the_run(make_run: MakeRun, script: str, message: str) -> None:
    run = make_run(script, timeout=0.2 if "sleep" in script else 60)
    with pytest.raises(CommandFailedError, match=message):
        etl.run_job(run)
    assert ("three rows" in run.output) is ("three rows" in script)


def test_a_rollback_activates_and_runs_nothing(make_run: MakeRun) -> None:
    run = make_run("false", build=["false"], migrate=["false"])
    etl.rollback(run, run.release)
    assert run.steps == ["keep_migrations", "activate"]
    assert run.commands == []


@pytest.mark.parametrize(
    "script_path", ["/srv/load.sh", "../load.sh", "a/../b.sh", "", ".git/hooks/x", "a\nb"]
)
def test_a_script_outside_the_release_is_refused(script_path: str) -> None:
    with pytest.raises(ValidationError, match="script_path"):
        EtlSettings(script_path=script_path)


def test_the_script_is_required() -> None:
    with pytest.raises(ValidationError, match="script_path"):
        EtlSettings.model_validate({})

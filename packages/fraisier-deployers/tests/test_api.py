import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fraisier_core import CommandFailedError, Release
from fraisier_core.system.processes import become_subreaper
from fraisier_core.testing import DeployerConformance, FakeRun
from fraisier_deployers import api
from fraisier_deployers.api import ApiSettings
from pydantic import ValidationError


class TestApi(DeployerConformance):
    plugin = api

    def working(self, release: Path) -> Mapping[str, object]:
        write_script(release / "build.sh", "echo built > built")
        return {"migrate": ["test", "-e", "built"], "restart": ["true"]}

    def failing(self, release: Path) -> Mapping[str, object]:
        write_script(release / "build.sh", "exit 1")
        return {}

    def failing_late(self, release: Path) -> Mapping[str, object]:
        return {"restart": ["sh", "-c", "touch restarted; exit 1"]}

    def running(self, release: Path, script: str) -> Mapping[str, object]:
        write_script(release / "build.sh", script)
        return {"restart": ["true"]}


MakeRun = Callable[..., FakeRun[ApiSettings]]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that makes a run: of release `1` by default, with these keys in its section."""

    def make(name: str = "1", *, in_place: bool = False, **section: Any) -> FakeRun[ApiSettings]:
        path = tmp_path / "clone" if in_place else tmp_path / "releases" / name
        path.mkdir(parents=True, exist_ok=True)
        settings = ApiSettings(app_path=path if in_place else tmp_path / "app", **section)
        return FakeRun(settings, Release(name, path, name * 40), in_place=in_place)

    return make


def write_script(path: Path, text: str, mode: int = 0o755) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)


def test_the_steps_come_in_order(make_run: MakeRun) -> None:
    run = make_run(build=["true", "build"], migrate=["true", "migrate"], restart=["true", "restart"])
    api.deploy(run)
    assert run.steps == ["build", "migrate", "activate", "restart"]
    assert run.commands == [("true", "build"), ("true", "migrate"), ("true", "restart")]
    assert run.unrepeatable == ["migrate"]


def test_a_step_that_has_nothing_to_do_is_left_out(make_run: MakeRun) -> None:
    run = make_run()
    api.deploy(run)
    assert run.steps == ["activate"]


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_build_sh_is_run_if_it_exists(make_run: MakeRun, mode: int) -> None:
    run = make_run()
    write_script(run.release.path / "build.sh", "echo built by $0", mode)
    api.deploy(run)
    assert run.commands == [("./build.sh",)]
    assert "built by" in run.output


@pytest.mark.parametrize(("build", "steps"), [([], ["activate"]), (["true"], ["build", "activate"])])
def test_build_replaces_build_sh(make_run: MakeRun, build: list[str], steps: list[str]) -> None:
    run = make_run(build=build)
    write_script(run.release.path / "build.sh", "exit 1")
    api.deploy(run)
    assert run.steps == steps


def test_a_failed_migration_ends_the_deployment_before_anything_is_switched(make_run: MakeRun) -> None:
    run = make_run(migrate=["false"], restart=["true"])
    with pytest.raises(CommandFailedError):
        api.deploy(run)
    assert (run.failed, run.activations) == (["migrate"], [])
    assert run.commands == [("false",)]


def test_a_failed_restart_fails_the_deployment(make_run: MakeRun) -> None:
    run = make_run(restart=["false"])
    with pytest.raises(CommandFailedError):
        api.deploy(run)
    assert run.failed == ["restart"]


def test_in_place_the_commit_is_there_already(make_run: MakeRun) -> None:
    run = make_run(in_place=True, build=["true"], migrate=["true"], restart=["true"])
    api.deploy(run)
    assert run.steps == ["build", "migrate", "restart"]


@pytest.fixture
def subreaper() -> None:
    """Be the parent of orphans, as the engine is: only so can they be found."""
    become_subreaper()


@pytest.mark.usefixtures("subreaper")
def test_what_restart_starts_stays_running(make_run: MakeRun) -> None:
    run = make_run(restart=["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $! > pid"])
    api.deploy(run)
    os.kill(int((run.release.path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.usefixtures("subreaper")
def test_what_a_build_leaves_behind_is_ended(make_run: MakeRun) -> None:
    run = make_run(build=["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $! > pid"])
    api.deploy(run)
    with pytest.raises(ProcessLookupError):
        os.kill(int((run.release.path / "pid").read_text()), 0)


def test_a_rollback_switches_and_restarts_without_building_or_migrating(make_run: MakeRun) -> None:
    run = make_run(build=["false"], migrate=["false"], restart=["true", "restart"])
    api.rollback(run, run.release)
    assert run.steps == ["keep_migrations", "activate", "restart"]
    assert run.activations == [run.release]
    assert run.commands == [("true", "restart")]


def test_a_rollback_says_that_migrations_are_not_undone(make_run: MakeRun) -> None:
    run = make_run(migrate=["false"])
    api.rollback(run, run.release)
    assert "migrations are not undone" in run.output


def test_a_rollback_in_place_builds_again(make_run: MakeRun) -> None:
    run = make_run(in_place=True, build=["true", "build"], restart=["true", "restart"])
    api.rollback(run, run.release)
    assert run.steps == ["build", "restart"]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("api", "api.service"),
        ("api.service", "api.service"),
        ("api.example.com", "api.example.com.service"),
        ("api@blue", "api@blue.service"),
        (r"a\x2db", r"a\x2db.service"),
    ],
)
def test_a_unit_is_named_with_or_without_its_suffix(name: str, unit: str) -> None:
    assert ApiSettings(systemd_service=name).systemd_service == unit


@pytest.mark.parametrize("name", ["", "-api", "--force", "api.socket", "a b", "a/b", "api\n", "*", 'a"'])
def test_what_is_no_service_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="name of a systemd service"):
        ApiSettings(systemd_service=name)


def test_there_is_one_way_to_restart() -> None:
    with pytest.raises(ValidationError, match="not both"):
        ApiSettings(systemd_service="api", restart=["true"])


@pytest.mark.parametrize("key", ["migrate", "restart"])
def test_an_empty_command_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        ApiSettings.model_validate({key: []})


def test_the_polkit_rule_names_one_unit_one_verb_and_one_user() -> None:
    rule = api.polkit_rule(r"a\x2db.service", "deploy")
    assert r'action.lookup("unit") == "a\\x2db.service"' in rule
    assert 'action.lookup("verb") == "restart"' in rule
    assert 'subject.user == "deploy"' in rule

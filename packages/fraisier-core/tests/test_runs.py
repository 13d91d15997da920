"""Runs of a job: rows of the same history as deployments, with the release that serves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from fraisier_core.config import parse_config
from fraisier_core.config.source import ConfigSource
from fraisier_core.engine.decision import commands
from fraisier_core.engine.forward import execute
from fraisier_core.engine.job_requests import job_request
from fraisier_core.engine.manual import ManualActions
from fraisier_core.engine.recovery import recover_unactivated
from fraisier_core.errors import ConfigurationError, InvalidRequestError, UnsetVariableError
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.events import Event
from fraisier_core.store.records import ConfiguredEnvironment, Deployment, Request
from fraisier_core.store.vocabulary import KINDS, Trigger
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.testing.forge import Forge

from tests.installation import Installation
from tests.kinds import INSPECTION
from tests.packages import PackageFolder

pytest_plugins = ["fraisier_core.testing.forge"]

ME = ProcessIdentity.of(os.getpid())
DEPLOYER = """
from fraisier_core import EnvironmentSettings, Health, JobSettings, hookimpl

@hookimpl
def settings():
    return JobSettings

@hookimpl
def deploy(run):
    if (run.release.path / "fails").exists():
        raise RuntimeError("it broke")
    run.activate()

@hookimpl
def health_check(run):
    return Health(not (run.release.path / "unhealthy").exists(), "asked", final=True)

@hookimpl
def run_job(run):
    run.command(["sh", "job", *run.arguments])
"""
NO_JOB = DEPLOYER.replace("JobSettings", "EnvironmentSettings").partition("@hookimpl\ndef run_job")[0]
CONFIGURATION = """\
fraises:
  site:
    type: static
    repository: {repository}
    environments:
      production:
        branch: main
        app_path: {folder}/app
"""


@pytest.fixture
def inspections(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further row of the kinds: a job too."""
    monkeypatch.setitem(KINDS, INSPECTION.name, INSPECTION)


@pytest.fixture
def installation(tmp_path: Path, forge: Forge, site: PackageFolder) -> Installation:
    return Installation(tmp_path, forge, site, DEPLOYER, CONFIGURATION)


def configured(installation: Installation, keys: str, *, executes: bool = True) -> None:
    """Add keys to the section of the environment."""
    text = CONFIGURATION.format(repository=installation.forge.url, folder=installation.folder)
    path = installation.folder / "fraises.yaml"
    installation.config = parse_config(f"{text}        {keys}\n", path, installation.plugins)
    configure_store(installation.store, installation.config, executes=executes)


def requested(installation: Installation, *arguments: str) -> Deployment:
    """Return a run that was requested by hand."""
    found = installation.config.environment("site", "production")
    request = job_request(
        installation.config, installation.store, found, "run", requested_by="ada", arguments=arguments
    )
    return installation.store.deployment(installation.store.request(request))


def test_a_run_uses_the_release_that_serves_and_is_a_row_of_the_same_history(
    installation: Installation,
) -> None:
    deployed = installation.execute(installation.forge.push_files({"job": "echo $FRAISIER_RELEASE $*"}))
    run = requested(installation, "--since", "a b")
    assert (run.kind, run.status, run.lane, run.executor) == ("run", "pending", "release", "worker")
    done = installation.execute_claimed(run.id)
    assert (done.status, done.release, done.commit_sha) == ("success", deployed.release, deployed.commit_sha)
    assert (done.arguments, done.previous_release, done.activation_started) == (
        ("--since", "a b"),
        None,
        False,
    )
    assert f"{deployed.release} --since a b\n" in "".join(c.text for c in installation.store.log(run.id))
    assert [each.id for each in installation.store.deployments()] == [run.id, deployed.id]
    (status,) = installation.store.status()
    assert (status.deployment_id, status.pending) == (deployed.id, False)


def test_if_memory_runs_out_the_kernel_ends_a_job_first(installation: Installation) -> None:
    score = "$(cat /proc/self/oom_score_adj)"
    waits = f'while [ {score} -lt 500 ]; do sleep 0.01; done; sh -c "echo scored {score}"'
    installation.execute(installation.forge.push_files({"job": waits}))
    configured(installation, "timeout: 20")
    done = installation.execute_claimed(requested(installation).id)
    assert done.status == "success"
    assert "scored 500" in "".join(each.text for each in installation.store.log(done.id))


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (
            "{memory: 79M}",
            "limits.memory: must be 80M at least: what of Fraisier executes the run is in the same",
        ),
        ("{memory: 81919K}", "limits.memory: must be 80M at least"),
        ("{memory: '1024'}", "limits.memory: must be 80M at least"),
        (
            "{tasks: 15}",
            "limits.tasks: must be 16 at least: what of Fraisier executes the run is in the same",
        ),
    ],
)
def test_limits_that_no_run_could_keep_are_refused(
    installation: Installation, limits: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        configured(installation, f"limits: {limits}")


@pytest.mark.parametrize(
    "limits", ["{memory: 80M, tasks: 16}", "{memory: 81920K}", "{memory: 1G}", "{memory: 5%}"]
)
def test_limits_that_leave_something_to_a_job_are_taken(installation: Installation, limits: str) -> None:
    configured(installation, f"limits: {limits}")


def test_runs_keep_their_order_and_none_supersedes_another(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"job": "true"}))
    runs = [requested(installation, str(number)) for number in range(3)]
    assert [installation.execute_claimed(None).arguments for _ in runs] == [("0",), ("1",), ("2",)]


def test_a_deployment_and_a_run_wait_for_each_other(installation: Installation) -> None:
    commit = installation.forge.push_files({"job": "true"})
    installation.execute(commit)
    run = requested(installation)
    lease = installation.store.leased(ME)
    assert lease is not None
    assert installation.store.running("site", "production", "release") == run.id
    with pytest.raises(AssertionError):
        installation.claim(commit)  # it waits
    execute(installation.execution(lease))
    deploys = installation.store.leased(ME)
    assert deploys is not None
    requested(installation)
    assert installation.store.leased(ME) is None


def test_a_run_needs_a_release_that_serves(installation: Installation) -> None:
    with pytest.raises(InvalidRequestError, match="no release of site production serves"):
        requested(installation)


def test_a_run_needs_a_job(tmp_path: Path, forge: Forge, site: PackageFolder) -> None:
    installation = Installation(tmp_path, forge, site, NO_JOB, CONFIGURATION)
    installation.execute(forge.push_files({"a": "b"}))
    with pytest.raises(InvalidRequestError, match='site production has no job: its type "static"'):
        requested(installation)


def test_no_argument_has_what_no_process_can_be_given(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"job": "true"}))
    with pytest.raises(InvalidRequestError, match="NUL"):
        requested(installation, "a\0b")


STORED = ConfiguredEnvironment(
    "site", "static", None, None, "production", None, "main", None, None, True, "skip", True, "unit"
)


@pytest.mark.parametrize(
    "keys",
    [
        "env: {PASSWORD: '${NOT_SET}'}",
        "timeout: '${NOT_SET}'",
        "retries: {count: '${NOT_SET}', delay: 1s}",
        "health_check: {url: '${NOT_SET}'}",
        "limits: {memory: '${NOT_SET}'}",
        "schedule: '${NOT_SET}'",
        "deploy_during_run: '${NOT_SET}'",
    ],
)
@pytest.mark.parametrize("executes", [True, False])
def test_who_has_not_the_variables_of_a_job_takes_nothing_from_its_runs(
    installation: Installation, keys: str, executes: bool
) -> None:
    with_variables = installation.config
    installation.store.configure([STORED])
    configured(installation, f"overlap: skip\n        {keys}", executes=executes)
    installation.config = with_variables
    installation.execute(installation.forge.push_files({"job": "true"}))
    first, second = requested(installation), requested(installation)
    assert (first.lane, second.status) == ("release", "skipped")
    is_known = executes and not keys.startswith(("limits", "schedule", "deploy_during_run"))
    assert first.executor == ("worker" if is_known else "unit")


def test_a_run_after_a_deployment_is_as_the_worker_said_whoever_started_since(
    installation: Installation,
) -> None:
    configured(installation, "run: on_deploy")
    worker = installation.config
    installation.store.configure([STORED])
    configured(installation, "overlap: skip\n        env: {PASSWORD: '${NOT_SET}'}", executes=False)
    installation.config = worker
    installation.execute(installation.forge.push_files({"job": "true"}))
    run = installation.store.deployments()[0]
    assert (run.trigger, run.lane, run.executor) == ("on_deploy", "release", "unit")


def test_a_run_that_is_requested_anew_is_as_the_worker_said(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"job": "true"}))
    installation.store.configure([STORED])
    configured(installation, "overlap: queue\n        env: {PASSWORD: '${NOT_SET}'}", executes=False)
    interrupted(installation, repeatable=True, trigger="schedule")
    again = installation.store.deployments()[0]
    assert (again.trigger, again.lane, again.executor) == ("recovery", "release", "unit")


def test_a_run_can_be_requested_without_the_variables_of_its_job(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"job": "true"}))
    path = installation.config.path
    text = CONFIGURATION.format(repository="${NOT_SET}", folder=installation.folder)
    path.write_text(f"{text}        env: {{PASSWORD: '${{NOT_SET}}'}}\n        limits: {{tasks: 64}}\n")
    installation.store.configure([STORED])
    plugins = installation.plugins
    actions = ManualActions(ConfigSource(path, plugins), plugins, installation.store)
    run = installation.store.deployment(actions.run("site", "production", "ada", ["all"]))
    assert (run.requested_by, run.arguments, run.lane, run.executor) == ("ada", ("all",), "release", "unit")
    with pytest.raises(UnsetVariableError):
        actions.deploy("site", "production", "ada")


def test_the_success_of_a_deployment_requests_a_run_that_is_linked_to_it(installation: Installation) -> None:
    configured(installation, "run: on_deploy")
    deployed = installation.execute(installation.forge.push_files({"job": "true"}))
    run = installation.store.deployments()[0]
    assert (run.trigger, run.requested_for, run.requested_by) == ("on_deploy", deployed.id, "ada")
    assert installation.execute_claimed(run.id).release == deployed.release
    assert len(installation.store.deployments()) == 2


@pytest.mark.parametrize("commit", ["fails", "unhealthy"])
def test_no_run_follows_a_deployment_that_does_not_succeed(installation: Installation, commit: str) -> None:
    configured(installation, "run: on_deploy")
    installation.execute(installation.forge.push_files({commit: ""}))
    assert [each.kind for each in installation.store.deployments()] == ["deploy"]


def test_no_run_follows_a_rollback(installation: Installation) -> None:
    first = installation.execute(installation.forge.push_files({"job": "true"}))
    installation.execute(installation.forge.push_files({"job": "false"}))
    configured(installation, "run: on_deploy")
    done = installation.execute(kind="rollback", ref=None, release=first.release)
    assert (done.status, installation.store.deployments()[0].id) == ("success", done.id)


def test_a_deployment_during_a_run_leaves_the_release_that_the_run_uses(installation: Installation) -> None:
    configured(installation, "deploy_during_run: true\n        keep_releases: 2")
    used = installation.execute(installation.forge.push_files({"job": "true"}))
    run = requested(installation)
    lease = installation.store.leased(ME, run.id)
    assert lease is not None
    execution = installation.execution(lease)
    assert used.release is not None
    execution.recorder.append(Event("release_chosen", release=used.release, commit_sha=used.commit_sha))
    for number in range(4):
        installation.execute(installation.forge.push_files({"page": str(number)}))
    assert execution.existing(used.release) is not None
    execution.recorder.end("success", "ran")
    installation.execute(installation.forge.push_files({"page": "last"}))
    assert execution.existing(used.release) is None


def test_a_run_beside_deployments_needs_a_release_of_its_own(installation: Installation) -> None:
    installation.forge.push_files({"job": "touch ran"})
    subprocess.run(["git", "clone", "-q", installation.forge.url, installation.folder / "app"], check=True)
    installation.execute()
    configured(installation, "deploy_during_run: true")
    done = installation.execute_claimed(requested(installation).id)
    assert done.status == "failed"
    assert "app is a clone, whose files a deployment changes while they are in use" in str(done.error_message)
    assert not (installation.folder / "app/ran").exists()
    configured(installation, "deploy_during_run: false")
    assert installation.execute_claimed(requested(installation).id).status == "success"
    assert (installation.folder / "app/ran").exists()


def test_a_run_that_fails_leaves_the_serving_release_alone(installation: Installation) -> None:
    deployed = installation.execute(installation.forge.push_files({"job": "echo no; exit 3"}))
    done = installation.execute_claimed(requested(installation).id)
    assert (done.status, done.activation_started, done.rollback_started) == ("failed", False, False)
    assert installation.serving == deployed.commit_sha
    (status,) = installation.store.status()
    assert (status.status, status.awaits_decision) == ("success", None)


@pytest.mark.usefixtures("inspections")
def test_another_kind_of_job_is_a_row_of_the_table(installation: Installation) -> None:
    installation.store.add_kinds()
    configured(installation, "overlap: skip\n        deploy_during_run: true")
    deployed = installation.execute(installation.forge.push_files({"job": "echo inspected $1"}))
    request = Request("site", "production", "inspection", "manual", "ada", arguments=("all",))
    first, second = installation.store.request_all([request, request])
    assert installation.store.deployment(second).error_message == f"inspection {first} is under way"
    run = requested(installation)
    lease = installation.store.leased(ME, run.id)
    done = installation.execute_claimed(first)  # beside a run: each has a lane of its own
    assert lease is not None
    assert (done.status, done.lane, done.release) == ("success", "inspection", deployed.release)
    assert "inspected all" in "".join(each.text for each in installation.store.log(first))
    assert commands(done, serving_unknown=False) == ("fraisier inspect site production -- all",)


def interrupted(installation: Installation, *, repeatable: bool, trigger: Trigger) -> Deployment:
    """Return a run whose process ended during a step, after its recovery."""
    request = Request("site", "production", "run", trigger, None, arguments=("all",))
    lease = installation.store.leased(ME, installation.store.request(request))
    assert lease is not None
    started = Event("step_started", step="run", step_number=1, repeatable=repeatable)
    installation.store.append(lease, started)
    installation.store.request(Request("site", "production", "deploy", "manual", "ada", "refs/heads/main"))
    assert recover_unactivated(installation.store, lease, installation.deployment(lease))
    return installation.deployment(lease)


def test_a_run_that_may_run_again_is_requested_anew_once(installation: Installation) -> None:
    installation.execute(installation.forge.push_files({"job": "true"}))
    first = interrupted(installation, repeatable=True, trigger="schedule")
    again = installation.store.deployments()[0]
    assert (first.status, again.trigger, again.recovers) == ("interrupted", "recovery", first.id)
    assert (again.kind, again.arguments) == ("run", ("all",))  # though a deployment was requested since
    assert installation.execute_claimed().kind == "deploy"  # which is ahead of it
    assert installation.execute_claimed(again.id).status == "success"


@pytest.mark.parametrize(
    ("repeatable", "trigger", "reason"),
    [
        (False, "schedule", "a step that may not run again had begun"),
        (True, "manual", "a user requested it"),
        (False, "on_deploy", "a step that may not run again had begun"),
    ],
)
def test_another_run_that_was_interrupted_waits_for_a_decision(
    installation: Installation, repeatable: bool, trigger: Trigger, reason: str
) -> None:
    installation.execute(installation.forge.push_files({"job": "true"}))
    found = interrupted(installation, repeatable=repeatable, trigger=trigger)
    assert str(found.error_message).endswith(f"waits for a decision: {reason}")
    assert [each.status for each in installation.store.deployments() if each.kind == "run"] == ["interrupted"]
    assert commands(found, serving_unknown=False) == ("fraisier run site production -- all",)

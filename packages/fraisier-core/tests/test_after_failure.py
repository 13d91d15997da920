"""`on_failure: rollback`: a release whose job fails is rolled back from, once, and only if that helps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fraisier_core.engine.backward import fail
from fraisier_core.engine.forward import execute
from fraisier_core.engine.job_requests import job_request
from fraisier_core.errors import CancelledError, StepFailedError
from fraisier_core.store.events import Event
from fraisier_core.store.records import Deployment, Lease, Request
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.testing.forge import Forge

from tests.installation import Installation
from tests.packages import PackageFolder

pytest_plugins = ["fraisier_core.testing.forge"]

ME = ProcessIdentity.of(os.getpid())
DEPLOYER = """
from fraisier_core import JobSettings, hookimpl

@hookimpl
def settings():
    return JobSettings

@hookimpl
def deploy(run):
    run.activate()

@hookimpl
def rollback(run, to):
    run.activate(to)

@hookimpl
def health_check(run):
    return run.probe()

@hookimpl
def run_job(run):
    run.command(["sh", "job", *run.arguments])
"""
CONFIGURATION = """\
fraises:
  site:
    type: static
    repository: {repository}
    environments:
      production:
        branch: main
        app_path: {folder}/app
        on_failure: rollback
        deploy_during_run: true
        retries: {{count: 1, delay: 0}}
"""
FAILS = "sh job exited with status 3, in the last of 2 tries"


@pytest.fixture
def installation(tmp_path: Path, forge: Forge, site: PackageFolder) -> Installation:
    return Installation(tmp_path, forge, site, DEPLOYER, CONFIGURATION)


def deployed(installation: Installation, job: str) -> str:
    """Return the name of a release that was deployed."""
    done = installation.execute(installation.forge.push_files({"job": job}))
    assert done.release is not None
    return done.release


def proven(installation: Installation) -> str:
    """Return the name of a release of which a run has succeeded."""
    release = deployed(installation, "true")
    assert ran(installation).status == "success"
    return release


def claimed_run(installation: Installation, *arguments: str) -> Lease:
    environment = installation.config.environment("site", "production")
    config, store = installation.config, installation.store
    request = job_request(config, store, environment, "run", requested_by="ada", arguments=arguments)
    lease = store.leased(ME, store.request(request))
    assert lease is not None
    return lease


def ran(installation: Installation, *arguments: str) -> Deployment:
    lease = claimed_run(installation, *arguments)
    execute(installation.execution(lease))
    return installation.deployment(lease)


def pending(installation: Installation) -> list[Deployment]:
    return [each for each in installation.store.deployments() if each.status == "pending"]


def test_a_failed_run_requests_a_rollback_that_names_it(installation: Installation) -> None:
    good, _ = proven(installation), deployed(installation, "exit 3")
    failed = ran(installation)
    said = f"{FAILS}; a rollback to release {good} is requested"
    assert (failed.status, failed.error_message) == ("failed", said)
    (back,) = pending(installation)
    assert (back.kind, back.trigger, back.requested_for, back.requested_by) == (
        "rollback",
        "on_failure",
        failed.id,
        "ada",
    )
    done = installation.execute_claimed(back.id)
    assert (done.status, done.release, installation.current) == ("success", good, good)


def test_one_bad_night_does_not_walk_back_release_by_release(installation: Installation) -> None:
    database = installation.folder / "database"
    needs = f"[ -e {database} ]"
    database.touch()
    proven(installation)
    good = deployed(installation, needs)
    assert ran(installation).status == "success"
    for _ in range(2):
        deployed(installation, f"{needs} || exit 3")
    database.unlink()
    assert ran(installation).status == "failed"
    assert installation.execute_claimed(pending(installation)[0].id).release == good
    failed = ran(installation)
    assert (failed.error_message or "").endswith(f"; release {good} stays: a run of it had succeeded")
    assert (pending(installation), installation.current) == ([], good)


def test_a_release_of_which_no_run_succeeded_is_not_rolled_back_to(installation: Installation) -> None:
    releases = [deployed(installation, job) for job in ("true", "[ $# = 1 ]", "exit 3")]
    said = f"{FAILS}; release {releases[-1]} stays: there is no earlier one of which a run succeeded"
    assert ran(installation).error_message == said
    installation.execute(kind="rollback", ref=None, release=releases[1])
    assert ran(installation, "--help").status == "success"
    worse = deployed(installation, "exit 3 # again")
    assert (ran(installation).error_message or "").startswith(f"{FAILS}; release {worse} stays: there is no")
    failed = ran(installation, "--help").error_message or ""
    assert failed.endswith(f"; a rollback to release {releases[1]} is requested")


def test_other_arguments_do_not_keep_a_release_whose_job_fails(installation: Installation) -> None:
    good = proven(installation)
    deployed(installation, '[ "$1" = --help ] || exit 3')
    assert ran(installation, "--help").status == "success"
    failed = ran(installation).error_message or ""
    assert failed.endswith(f"; a rollback to release {good} is requested")


def test_the_first_release_stays(installation: Installation) -> None:
    only = deployed(installation, "exit 3")
    said = f"{FAILS}; release {only} stays: there is no earlier one of which a run succeeded"
    assert ran(installation).error_message == said
    assert pending(installation) == []


def test_a_release_that_was_rolled_back_from_is_not_returned_to(installation: Installation) -> None:
    first, bad = proven(installation), deployed(installation, "[ $# = 1 ] || exit 3")
    assert ran(installation, "once").status == "success"
    installation.execute(kind="rollback", ref=None, release=first)
    worse = deployed(installation, "exit 3")
    failed = ran(installation)
    assert (failed.error_message or "").endswith(f"; a rollback to release {first} is requested")
    assert bad not in (failed.error_message or "")
    assert worse == failed.release


def test_a_release_that_does_not_serve_any_more_is_not_rolled_back_from(installation: Installation) -> None:
    deployed(installation, "true")
    old = deployed(installation, "exit 3")
    lease = claimed_run(installation)
    execution = installation.execution(lease)
    execution.recorder.append(Event("release_chosen", release=old, commit_sha="c" * 40))
    newer = deployed(installation, "true")
    fail(execution, StepFailedError("no rows"))
    said = f"no rows; release {old} does not serve any more, and is not rolled back from"
    assert installation.deployment(lease).error_message == said
    assert (pending(installation), installation.current) == ([], newer)


def test_a_rollback_that_a_newer_deployment_overtook_is_skipped(installation: Installation) -> None:
    proven(installation)
    bad = deployed(installation, "exit 3")
    ran(installation)
    (back,) = pending(installation)
    commit = installation.forge.push_files({"job": "true"})
    newer = installation.store.request(
        Request("site", "production", "deploy", "manual", "ada", "refs/heads/main", commit)
    )
    assert installation.execute_claimed(newer).status == "success"
    serving = installation.current
    done = installation.execute_claimed(back.id)
    assert (done.status, installation.current) == ("skipped", serving)
    assert done.error_message == f"release {bad}, whose run failed, does not serve any more"


def test_a_rollback_that_a_user_requested_is_not_superseded(installation: Installation) -> None:
    first = deployed(installation, "true")
    proven(installation)
    deployed(installation, "exit 3")
    lease = claimed_run(installation)
    own = installation.store.request(
        Request("site", "production", "rollback", "manual", "ada", release=first)
    )
    execute(installation.execution(lease))
    failed = installation.deployment(lease)
    assert (failed.error_message or "").endswith(f"; rollback {own} waits already")
    assert [each.id for each in pending(installation)] == [own]


def test_a_cancelled_run_requests_nothing(installation: Installation) -> None:
    deployed(installation, "true")
    deployed(installation, "exit 3")
    lease = claimed_run(installation)
    installation.stop.cancel(CancelledError("cancelled by ada"))
    execute(installation.execution(lease))
    done = installation.deployment(lease)
    assert (done.status, pending(installation)) == ("cancelled", [])
    assert (done.error_message or "").startswith("cancelled by ada")

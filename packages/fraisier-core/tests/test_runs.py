"""Runs of a job: rows of the same history as deployments, with the release that serves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fraisier_core.engine.forward import execute
from fraisier_core.engine.manual import run_request
from fraisier_core.errors import InvalidRequestError
from fraisier_core.store.records import Deployment
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.testing.forge import Forge

from tests.installation import Installation
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
    run.activate()

@hookimpl
def health_check(run):
    return Health(True, "well")

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
def installation(tmp_path: Path, forge: Forge, site: PackageFolder) -> Installation:
    return Installation(tmp_path, forge, site, DEPLOYER, CONFIGURATION)


def requested(installation: Installation, *arguments: str) -> Deployment:
    """Return a run that was requested by hand."""
    found = installation.config.environment("site", "production")
    request = run_request(
        installation.config, installation.store, found, requested_by="ada", arguments=arguments
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

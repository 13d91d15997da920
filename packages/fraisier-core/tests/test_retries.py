"""A job that fails is tried again, as its settings say, and each try is on record."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fraisier_core.engine.forward import execute
from fraisier_core.engine.job_requests import job_request
from fraisier_core.engine.recovery import recover_unactivated
from fraisier_core.errors import CancelledError, FraisierError, InterruptedRunError
from fraisier_core.store.records import Deployment, Lease
from fraisier_core.store.vocabulary import Trigger
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.testing.forge import Forge

from tests.installation import Installation
from tests.packages import PackageFolder
from tests.waiting import PATIENCE_SECONDS, wait_until

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
def health_check(run):
    return run.probe()

@hookimpl
def run_job(run):
    with run.step("load"):
        run.command(["sh", "job"])
    with run.step("report", repeatable=False):
        run.command(["true"])
"""
CONFIGURATION = """\
fraises:
  site:
    type: static
    repository: {{repository}}
    environments:
      production:
        branch: main
        app_path: {{folder}}/app
        retries: {}
"""
AT_ONCE = "{{count: 3, delay: 0.01, factor: 1}}"
Install = Callable[[str, str], Installation]


@pytest.fixture
def install(tmp_path: Path, forge: Forge, site: PackageFolder) -> Install:
    """Return a function that deploys a job that knows as `$tries` how often it was tried."""

    def installed(retries: str, job: str) -> Installation:
        found = Installation(tmp_path, forge, site, DEPLOYER, CONFIGURATION.format(retries))
        count = tmp_path / "count"
        found.execute(forge.push_files({"job": f"echo x >> {count}\ntries=$(wc -l < {count})\n{job}\n"}))
        return found

    return installed


def claimed_run(installation: Installation, trigger: Trigger = "manual") -> Lease:
    environment = installation.config.environment("site", "production")
    config, store = installation.config, installation.store
    request = job_request(config, store, environment, "run", requested_by="ada")._replace(trigger=trigger)
    lease = store.leased(ME, store.request(request))
    assert lease is not None
    return lease


def ran(installation: Installation) -> Deployment:
    lease = claimed_run(installation)
    execute(installation.execution(lease))
    return installation.deployment(lease)


def output(installation: Installation, run: Deployment, step: int) -> str:
    return "".join(each.text for each in installation.store.log(run.id) if each.step_number == step)


def test_a_job_is_tried_again_until_it_succeeds(install: Install) -> None:
    installation = install(AT_ONCE, 'echo "try $tries"; [ $tries = 3 ]')
    done = ran(installation)
    assert done.status == "success"
    failed = [("load", "failed"), ("retry", "success")]
    assert installation.steps(done) == [*failed, *failed, ("load", "success"), ("report", "success")]
    assert output(installation, done, 2) == "sh job exited with status 1; try 2 of 4 in 0.01 s\n"
    assert output(installation, done, 5) == "$ sh job\ntry 3\n"


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("exit $tries", "sh job exited with status 3"),
        ("kill -TERM $$", "sh job was killed by signal 15 (Terminated)"),
        ("kill -SEGV $$", "sh job was killed by signal 11 (Segmentation fault)"),
    ],
)
def test_a_job_that_never_succeeds_says_how_the_last_try_failed(
    install: Install, job: str, message: str
) -> None:
    installation = install("{{count: 2, delay: 0.01}}", job)
    done = ran(installation)
    assert (done.status, done.error_message) == ("failed", f"{message}, in the last of 3 tries")
    assert [name for name, _ in installation.steps(done)] == ["load", "retry", "load", "retry", "load"]
    assert not done.unrepeatable


def test_a_job_without_retries_is_tried_once_and_may_not_be_repeated(install: Install) -> None:
    installation = install("0", "exit 4")
    done = ran(installation)
    assert (done.status, done.error_message) == ("failed", "sh job exited with status 4")
    assert installation.steps(done) == [("load", "failed")]
    assert done.unrepeatable


def test_each_pause_is_longer_and_none_is_longer_than_the_longest(install: Install) -> None:
    installation = install("{{count: 4, delay: 0.01, factor: 3, longest: 0.05}}", "exit 1")
    done = ran(installation)
    pauses = [output(installation, done, step).split(" in ")[1] for step in (2, 4, 6, 8)]
    assert pauses == ["0.01 s\n", "0.03 s\n", "0.05 s\n", "0.05 s\n"]


def stop(installation: Installation, lease: Lease, step: str, reason: FraisierError) -> None:
    """Execute a run, and stop it during a step, for that reason."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(execute, installation.execution(lease))
        wait_until(lambda: (step, "running") in installation.steps(installation.deployment(lease)))
        installation.stop.cancel(reason)
        done.result(timeout=PATIENCE_SECONDS)


def test_a_pause_is_cancelled_at_once(install: Install) -> None:
    installation = install("{{count: 1, delay: 1h}}", "exit 1")
    lease = claimed_run(installation)
    stop(installation, lease, "retry", CancelledError("cancelled by ada"))
    done = installation.deployment(lease)
    assert (done.status, done.error_message) == ("cancelled", "cancelled by ada")
    assert installation.steps(done) == [("load", "failed"), ("retry", "cancelled")]


def test_a_cancelled_try_is_not_followed_by_another(install: Install) -> None:
    installation = install("{{count: 5, delay: 0}}", "exec sleep 600")
    lease = claimed_run(installation)
    stop(installation, lease, "load", CancelledError("cancelled by ada"))
    done = installation.deployment(lease)
    assert (done.status, installation.steps(done)) == ("cancelled", [("load", "cancelled")])


@pytest.mark.parametrize(
    ("retries", "job", "step", "message", "is_repeated"),
    [
        ("{{count: 1, delay: 1h}}", "exit 1", "retry", "ended during step retry", True),
        ("1", "exec sleep 600", "load", "ended during step load", True),
        ("0", "exec sleep 600", "load", "waits for a decision: a step that may not run again", False),
    ],
)
def test_an_interrupted_run_is_repeated_only_if_it_has_retries(
    install: Install, retries: str, job: str, step: str, message: str, *, is_repeated: bool
) -> None:
    installation = install(retries, job)
    lease = claimed_run(installation, "schedule")
    with pytest.raises(InterruptedRunError):
        stop(installation, lease, step, InterruptedRunError("the worker is gone"))
    recover_unactivated(installation.store, lease, installation.deployment(lease))
    done, newest = installation.deployment(lease), installation.store.deployments()[0]
    assert done.status == "interrupted"
    assert message in (done.error_message or "")
    assert (newest.recovers == done.id) == is_repeated


def test_what_a_plugin_raises_is_tried_again_as_well(
    tmp_path: Path, forge: Forge, site: PackageFolder
) -> None:
    deployer = DEPLOYER.partition("    with run.step")[0] + "    raise ValueError('no rows')\n"
    installation = Installation(tmp_path, forge, site, deployer, CONFIGURATION.format(AT_ONCE))
    installation.execute(forge.push_files({"job": ""}))
    done = ran(installation)
    assert done.status == "failed"
    assert (done.error_message or "").startswith("ValueError: no rows (")
    assert (done.error_message or "").endswith("), in the last of 4 tries")
    assert installation.steps(done) == [("retry", "success")] * 3

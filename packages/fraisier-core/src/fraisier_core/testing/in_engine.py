"""Tests of a fraise type in the real engine: real processes, a real store, and what a kill leaves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest

from fraisier_core.engine.leftovers import DEPLOYMENT_VARIABLE
from fraisier_core.run import ENGINE_STEPS
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import Status
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.testing.installation import PATIENCE_SECONDS, SECRET, Installation
from fraisier_core.testing.skipping import not_for_this_type
from fraisier_core.testing.written_releases import DeployerReleases
from fraisier_core.text.redaction import MASK

FAILPOINTS = (
    "step_fetch",
    "before_activate",
    "before_swap",
    "after_swap",
    "after_activate",
    "step_verify",
    "before_success",
)
PRINTING = "echo secret: $SECRET; echo $SECRET >&2"


class EngineTests(DeployerReleases):
    """The part of `DeployerConformance` about what the engine and a type make of each other."""

    @pytest.fixture(scope="class")
    @classmethod
    def shared(cls, tmp_path_factory: pytest.TempPathFactory) -> Installation:
        """An environment in which these tests deploy one after the other: to begin anew takes its time."""
        return Installation(tmp_path_factory.mktemp("engine"), cls.plugin.__name__)

    def test_a_failing_step_fails_the_deployment_and_the_old_one_serves(self, shared: Installation) -> None:
        serving = self.serving(shared)
        done = shared.execute(shared.push(self.failing))
        assert (done.status, done.activation_started) == ("failed", False), done.error_message
        assert (shared.serving(), shared.linked()) == (serving, serving)

    def test_a_commit_is_deployed_twice(self, shared: Installation) -> None:
        commit = shared.push(self.working)
        for _ in range(2):
            done = shared.execute(commit)
            assert done.status == "success", done.error_message
            assert_serves(shared, done.release)

    def test_cancel_ends_all_that_a_step_started(self, shared: Installation, tmp_path: Path) -> None:
        commit = shared.push(self.running_script(self.lasting_script(tmp_path)))
        commit = commit or not_for_this_type("it runs no command before activation")
        done = shared.execute(commit, meanwhile=cancelling(shared, tmp_path))
        assert_ended(done, "cancelled", tmp_path)

    def test_no_secret_leaves_it_unredacted(self, shared: Installation) -> None:
        commit = shared.push(self.running_script(PRINTING))
        done = shared.execute(commit or shared.push(self.working))
        assert_no_secret_shown(shared, done)
        assert commit is None or f"secret: {MASK}" in shared.output(done), "the output is missing"

    def test_a_rollback_returns_to_the_release_it_was_given(self, shared: Installation) -> None:
        first = self.serving(shared)
        for _ in range(2):
            self.deployed(shared)
        back = shared.execute(kind="rollback", release=first)
        assert back.status == "success", back.error_message
        assert_serves(shared, first)

    def test_an_unhealthy_release_is_rolled_back(self, shared: Installation) -> None:
        serving = self.serving(shared)
        done = shared.execute(shared.push(self.working, healthy=False))
        assert done.status == "rolled_back", done.error_message
        assert_serves(shared, serving)

    def test_killed_at_each_failpoint_it_ends_and_can_be_deployed_again(self, shared: Installation) -> None:
        self.deployed(shared)
        own = [name for name in shared.last_steps if name not in ENGINE_STEPS]
        commits = cycle([shared.push(self.working) for _ in range(2)])
        for point in [*FAILPOINTS, *(f"step_{name}" for name in own)]:
            before = shared.serving()
            done = shared.execute(next(commits), killed_at=point)
            told = f"killed at {point}: {done.error_message}"
            assert done.status in {"interrupted", "success", "rolled_back"}, told
            assert_serves(shared, done.release if done.status == "success" else before)
        self.deployed(shared)

    def test_killed_during_a_rollback_it_is_rolled_back_all_the_same(self, shared: Installation) -> None:
        serving = self.serving(shared)
        done = shared.execute(shared.push(self.working, healthy=False), killed_at="rollback")
        assert done.status == "rolled_back", done.error_message
        assert_serves(shared, serving)

    def serving(self, shared: Installation) -> str | None:
        """Return the release that serves, deployed if none does or if an earlier test lost it."""
        linked = shared.linked()
        return linked if linked and shared.serving() == linked else self.deployed(shared).release

    def deployed(self, shared: Installation) -> Deployment:
        """Deploy a release that works, and return its deployment."""
        done = shared.execute(shared.push(self.working))
        assert done.status == "success", done.error_message
        return done


def assert_serves(installation: Installation, release: str | None) -> None:
    """Assert that a release serves, by the record and by the link."""
    assert (installation.serving(), installation.linked()) == (release, release)


def assert_ended(done: Deployment, status: Status, folder: Path) -> None:
    """Assert how a deployment ended, and that nothing of its lasting script runs or ran to its end."""
    assert done.status == status, done.error_message
    assert left_by(done) == []
    assert not (folder / "ended").exists(), "its command went on"


def assert_no_secret_shown(installation: Installation, done: Deployment) -> None:
    """Assert that a deployment succeeded and that no secret is in its record or in what was printed."""
    assert done.status == "success", done.error_message
    assert SECRET not in installation.log.read_text(), "it prints a secret, into the log of the worker"
    state = installation.folder / ".fraisier"
    told = [path.name for path in state.glob("fraisier.db*") if SECRET.encode() in path.read_bytes()]
    assert told == [], "a secret is in the record"


def cancelling(installation: Installation, folder: Path) -> Callable[[str, ProcessIdentity], None]:
    """Return what cancels a deployment once its lasting script has begun."""

    def cancel(deployment_id: str, process: ProcessIdentity) -> None:
        wait_for(folder / "begun", process)
        with installation.store() as store:
            store.request_cancel(deployment_id, "conformance")

    return cancel


def wait_for(mark: Path, process: ProcessIdentity) -> None:
    """Wait until the script has begun that a process runs."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not mark.exists():
        assert process.is_alive(), "it ended before the script had begun"
        assert time.monotonic() < deadline, "the script never began"
        time.sleep(0.01)


def left_by(done: Deployment) -> list[int]:
    """Return the ids of the processes that still run on behalf of a deployment."""
    mark = f"{DEPLOYMENT_VARIABLE}={done.id}".encode()
    return [int(folder.name) for folder in _processes() if mark in _environment(folder)]


def _processes() -> Iterator[Path]:
    return (folder for folder in Path("/proc").iterdir() if folder.name.isdigit() and _is_mine(folder))


def _is_mine(folder: Path) -> bool:
    try:
        return folder.stat().st_uid == os.geteuid()
    except OSError:  # it has ended
        return False


def _environment(folder: Path) -> list[bytes]:
    try:
        return (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return []

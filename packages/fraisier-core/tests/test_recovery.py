import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fraisier_core.engine.leftovers import DEPLOYMENT_VARIABLE, end_leftovers
from fraisier_core.engine.recovery import ATTEMPTS, recover_unactivated
from fraisier_core.store.events import Event
from fraisier_core.store.records import ConfiguredEnvironment, Deployment, HeldLease, Lease, Request
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.host import Host, boot_id
from fraisier_core.system.processes import ProcessIdentity, descendants

from tests.kinds import AUDIT
from tests.stores import OpenStore, open_store
from tests.waiting import wait_until

ME = ProcessIdentity.of(os.getpid())
REQUEST = Request("api", "production", "audit", "manual", "ada")
PUSH = Request("api", "production", "deploy", "webhook", "ada", ref="refs/heads/main", commit_sha="c" * 40)


@pytest.fixture
def store(tmp_path: Path) -> OpenStore:
    found = open_store(tmp_path / "store.db")
    found.configure([ConfiguredEnvironment("api", "api", None, None, "production", None, None)])
    return found


@pytest.fixture
def lease(store: OpenStore) -> Lease:
    _, lease = store.request_leased(Request("api", "production", "deploy", "manual", "ada"), ME)
    assert lease is not None
    return lease


def recovered(store: OpenStore, lease: Lease) -> bool:
    return recover_unactivated(store, lease, store.deployment(lease.deployment_id))


@pytest.fixture
def command() -> Iterator[Callable[[str, str], ProcessIdentity]]:
    """A function that starts a script in a session of its own, marked with a deployment's id."""
    started: list[subprocess.Popen[bytes]] = []

    def start(script: str, deployment_id: str) -> ProcessIdentity:
        environ = {"PATH": os.environ["PATH"], DEPLOYMENT_VARIABLE: deployment_id}
        started.append(subprocess.Popen(["sh", "-c", script], env=environ, start_new_session=True))
        return ProcessIdentity.of(started[-1].pid)

    yield start
    for process in started:
        for each in descendants(process.pid):
            os.kill(each.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def held(holder: ProcessIdentity, command: ProcessIdentity | None, boot: str = "") -> HeldLease:
    return HeldLease(Lease(1, "deployment-1", "local", 1), boot or boot_id(), holder, command)


def test_everything_that_an_expired_lease_names_is_ended(
    command: Callable[[str, str], ProcessIdentity],
) -> None:
    holder, named, away = (command("sleep 60; :", mark) for mark in ("", "", "deployment-1"))
    other = command("sleep 60; :", "deployment-2")
    end_leftovers(Host(), held(holder, named))
    wait_until(lambda: not any(each.is_alive() for each in (holder, named, away)))
    assert other.is_alive()


def test_a_lease_of_another_boot_names_no_process(command: Callable[[str, str], ProcessIdentity]) -> None:
    process = command("sleep 60; :", "deployment-1")
    end_leftovers(Host(), held(process, process, boot="another boot"))
    assert process.is_alive()


def test_an_id_that_was_reused_is_another_process(
    command: Callable[[str, str], ProcessIdentity],
) -> None:
    process = command("sleep 60; :", "")
    end_leftovers(Host(), held(replace(process, start_time=process.start_time - 1), None))
    assert process.is_alive()


def test_a_run_without_a_step_waits_again(store: OpenStore, lease: Lease) -> None:
    assert recovered(store, lease)
    assert store.deployment(lease.deployment_id).status == "pending"


def test_a_run_that_never_gets_to_a_step_is_not_tried_for_ever(store: OpenStore, lease: Lease) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        assert recovered(store, lease)
        found = store.deployment(lease.deployment_id)
        assert found.status == ("pending" if attempt < ATTEMPTS else "interrupted")
        lease = store.leased(ME) or lease
    assert found.error_message == (
        "the deployment process ended 3 times before its first step; nothing was done; "
        "waits for a decision: a user requested it"
    )


def test_a_run_that_activated_nothing_is_interrupted(store: OpenStore, lease: Lease) -> None:
    store.append(lease, Event("step_started", step="build", step_number=1))
    assert recovered(store, lease)
    found = store.deployment(lease.deployment_id)
    assert found.status == "interrupted"
    assert found.error_message == (
        "the deployment process ended during step build; nothing was activated; "
        "waits for a decision: a user requested it"
    )
    assert store.status()[0].awaits_decision == found.id


@pytest.fixture
def pushed(store: OpenStore) -> Lease:
    """The lease of a pushed deployment that has begun to build."""
    _, lease = store.request_leased(PUSH, ME)
    assert lease is not None
    store.append(lease, Event("step_started", step="build", step_number=1))
    return lease


def waiting(store: OpenStore) -> list[Deployment]:
    return [each for each in store.deployments() if each.status == "pending"]


def test_an_interrupted_push_is_requested_anew_once(store: OpenStore, pushed: Lease) -> None:
    assert recovered(store, pushed)
    (anew,) = waiting(store)
    assert (anew.trigger, anew.recovers) == ("recovery", pushed.deployment_id)
    assert (anew.commit_sha, anew.ref, anew.requested_by) == (PUSH.commit_sha, PUSH.ref, PUSH.requested_by)
    assert store.status()[0].awaits_decision is None

    lease = store.leased(ME)
    assert lease is not None
    store.append(lease, Event("step_started", step="build", step_number=1))
    assert recovered(store, lease)
    assert waiting(store) == []
    assert store.status()[0].awaits_decision == anew.id


@pytest.fixture
def audits(store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further row of the kinds: it activates nothing, and runs beside deployments."""
    monkeypatch.setitem(KINDS, AUDIT.name, AUDIT)
    store.add_kinds()


@pytest.mark.usefixtures("audits")
def test_what_runs_in_another_lane_does_not_follow_an_interruption(store: OpenStore, pushed: Lease) -> None:
    audit = store.request(REQUEST)
    assert recovered(store, pushed)
    recovery, beside = waiting(store)
    assert (recovery.recovers, beside.id) == (pushed.deployment_id, audit)


@pytest.mark.usefixtures("audits")
def test_a_kind_that_activates_nothing_is_not_repeated_as_its_hook_is_called_at_once(
    store: OpenStore,
) -> None:
    _, lease = store.request_leased(REQUEST, ME)
    assert lease is not None
    assert recovered(store, lease)
    assert store.deployment(lease.deployment_id).status == "interrupted"


def test_what_is_pushed_at_the_last_moment_is_not_superseded_by_a_recovery(
    store: OpenStore, pushed: Lease
) -> None:
    decided = store.deployment(pushed.deployment_id)
    newer = store.request(PUSH._replace(commit_sha="d" * 40))
    store.append(pushed, Event("interrupted"), request=decided.repeated()._replace(trigger="recovery"))
    assert [each.id for each in waiting(store)] == [newer]


def test_a_cancellation_at_the_last_moment_is_heeded(store: OpenStore, pushed: Lease) -> None:
    decided = store.deployment(pushed.deployment_id)
    store.request_cancel(decided.id, "ada")
    store.append(pushed, Event("interrupted"), request=decided.repeated()._replace(trigger="recovery"))
    assert waiting(store) == []


def test_a_push_that_was_cancelled_leaves_the_decision_about_the_one_before(
    store: OpenStore, pushed: Lease
) -> None:
    store.request_cancel(store.request(PUSH._replace(commit_sha="d" * 40)), "ada")
    assert recovered(store, pushed)
    (status,) = store.status()
    assert (status.status, status.awaits_decision) == ("cancelled", pushed.deployment_id)


def test_what_activated_something_is_not_recovered_like_that(store: OpenStore, lease: Lease) -> None:
    started = Event("step_started", step="activate", step_number=1)
    store.append(lease, started, Event("activation_started"))
    assert not recovered(store, lease)
    assert store.deployment(lease.deployment_id).status == "running"

"""Runs of jobs: what excludes what, who executes them, and what is requested with an ending."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

import pytest
from fraisier_core.engine.recovery import recover_unactivated
from fraisier_core.errors import FencedError
from fraisier_core.store.events import Event
from fraisier_core.store.records import ConfiguredEnvironment, Lease, Request
from fraisier_core.store.vocabulary import Ending, Executor, Overlap, Trigger
from fraisier_core.system.processes import ProcessIdentity

from tests.databases import Database
from tests.stores import OpenStore

ME = ProcessIdentity.of(os.getpid())
RUN = Request("load", "production", "run", "manual", "ada")
DEPLOY = Request("load", "production", "deploy", "manual", "ada", "refs/heads/main", "c" * 40)


@pytest.fixture
def store(database: Database) -> Iterator[OpenStore]:
    with closing(database.open()) as store:
        yield store


def configure(
    store: OpenStore, overlap: Overlap = "queue", *, deploys_wait: bool = True, executor: Executor = "worker"
) -> None:
    job = (overlap, deploys_wait, executor)
    environment = ConfiguredEnvironment(
        "load", "etl", None, None, "production", None, "main", None, None, True, *job
    )
    store.configure([environment, environment._replace(environment="staging")])


def claimed(store: OpenStore, request: Request) -> Lease:
    lease = store.leased(ME, store.request(request))
    assert lease is not None
    return lease


def test_runs_wait_in_their_order_however_many_there_are(store: OpenStore) -> None:
    configure(store)
    ids = [store.request(RUN._replace(arguments=(str(number),))) for number in range(4)]
    for each in ids:
        lease = store.leased(ME)
        assert lease is not None
        assert lease.deployment_id == each
        assert store.leased(ME) is None
        store.append(lease, Event("success"))


def test_what_an_argument_may_say_is_kept(store: OpenStore) -> None:
    configure(store)
    arguments = ("", "a b", "--since=2026-01-31", '"\n\\', "ünï", "[1]")
    run = store.deployment(store.request(RUN._replace(arguments=arguments)))
    assert run.arguments == arguments
    assert run.repeated().arguments == arguments


@pytest.mark.parametrize(
    ("overlap", "deploys_wait", "lane"),
    [("queue", True, "release"), ("queue", False, "run"), ("skip", False, "run"), ("allow", False, None)],
)
def test_the_settings_at_its_request_say_what_a_run_excludes(
    store: OpenStore, overlap: Overlap, deploys_wait: bool, lane: str | None
) -> None:
    configure(store, overlap, deploys_wait=deploys_wait)
    run = store.deployment(store.request(RUN))
    assert run.lane == lane
    configure(store, "queue", deploys_wait=True, executor="unit")
    store.rebuild()
    assert store.deployment(run.id) == run
    assert store.deployment(store.request(DEPLOY)).lane == "release"


UNSAID = ConfiguredEnvironment("load", "etl", None, None, "production", None, "main", has_job=True)


def test_what_a_process_cannot_say_of_a_job_stays_as_it_was(store: OpenStore) -> None:
    configure(store, "skip", deploys_wait=True, executor="unit")
    store.configure([UNSAID])
    first, second = (store.deployment(each) for each in store.request_all([RUN, RUN]))
    assert (first.lane, first.executor, second.status) == ("release", "unit", "skipped")
    store.configure([UNSAID._replace(overlap="queue", deploys_wait=False)])
    run = store.deployment(store.request(RUN))
    assert (run.lane, run.executor, run.status) == ("run", "unit", "pending")
    store.configure([UNSAID._replace(executor="worker")])
    run = store.deployment(store.request(RUN))
    assert (run.lane, run.executor) == ("run", "worker")


def test_what_was_said_of_a_job_is_forgotten_with_it(store: OpenStore) -> None:
    configure(store, "allow", deploys_wait=False, executor="unit")
    store.configure([UNSAID._replace(type="api", has_job=False)])
    store.configure([UNSAID])
    run = store.deployment(store.request(RUN))
    assert (run.lane, run.executor) == ("run", None)


def test_a_deployment_waits_for_a_run_and_a_run_for_it(store: OpenStore) -> None:
    configure(store)
    run, deploy = claimed(store, RUN), store.request(DEPLOY)
    assert store.leased(ME, deploy) is None
    assert store.running("load", "production", "release") == run.deployment_id
    store.append(run, Event("success"))
    lease = store.leased(ME, deploy)
    assert lease is not None
    assert store.leased(ME, store.request(RUN)) is None
    assert store.leased(ME, store.request(RUN._replace(environment="staging"))) is not None


def test_where_deployments_do_not_wait_both_run_at_once(store: OpenStore) -> None:
    configure(store, deploys_wait=False)
    claimed(store, RUN)
    claimed(store, DEPLOY)
    assert store.leased(ME, store.request(RUN)) is None


def test_runs_that_may_overlap_run_at_once(store: OpenStore) -> None:
    configure(store, "allow", deploys_wait=False)
    leases = [claimed(store, RUN) for _ in range(3)]
    assert len({each.token for each in leases}) == 3


@pytest.mark.parametrize("status", ["pending", "running"])
def test_a_run_is_skipped_while_another_is_under_way(store: OpenStore, status: str) -> None:
    configure(store, "skip", deploys_wait=False)
    first = store.request(RUN)
    lease = store.leased(ME, first) if status == "running" else None
    elsewhere, skipped, deploy = store.request_all([RUN._replace(environment="staging"), RUN, DEPLOY])
    found = store.deployment(skipped)
    assert (found.status, found.error_message) == ("skipped", f"run {first} is under way")
    assert [each.event for each in store.events(deployment_id=skipped)] == ["requested", "skipped"]
    assert [store.deployment(each).status for each in (elsewhere, deploy)] == ["pending", "pending"]
    store.rebuild()
    assert store.deployment(skipped) == found
    if lease is not None:
        store.append(lease, Event("failed", message="it broke"))
        assert store.deployment(store.request(RUN)).status == "pending"


def test_of_several_that_are_requested_at_once_one_is_not_skipped(store: OpenStore) -> None:
    configure(store, "skip")
    ids = store.request_all([RUN] * 3)
    assert [store.deployment(each).status for each in ids] == ["pending", "skipped", "skipped"]


def test_a_dead_run_is_requested_anew_though_others_were_skipped_for_it(store: OpenStore) -> None:
    configure(store, "skip")
    dead = claimed(store, RUN._replace(trigger="schedule"))
    store.append(dead, Event("step_started", step="run", step_number=1, repeatable=True))
    skipped = store.request_all([RUN._replace(trigger="schedule"), RUN])
    assert recover_unactivated(store, dead, store.deployment(dead.deployment_id))
    anew, *others = store.deployments()
    assert (anew.status, anew.recovers) == ("pending", dead.deployment_id)
    assert [each.id for each in others] == [*reversed(skipped), dead.deployment_id]


def test_a_deployment_is_not_skipped_for_a_run(store: OpenStore) -> None:
    configure(store, "skip")
    claimed(store, RUN)
    assert store.deployment(store.request(DEPLOY)).status == "pending"


def test_what_a_unit_executes_is_claimed_by_its_id_alone(store: OpenStore) -> None:
    configure(store, executor="unit")
    run, nothing = store.request_leased(RUN, ME)
    assert (store.deployment(run).executor, nothing) == ("unit", None)
    assert store.leased(ME) is None
    assert store.deployment(claimed(store, DEPLOY).deployment_id).executor is None
    assert store.leased(ME, run) is None  # the deployment runs
    lease = store.leased(ME, store.request(RUN._replace(environment="staging")))
    assert lease is not None


@pytest.mark.parametrize("executor", ["worker", "unit"])
def test_of_those_that_wait_the_first_is_claimed_whichever_is_asked_for(
    store: OpenStore, executor: Executor
) -> None:
    configure(store, executor=executor)
    ids = [store.request(RUN) for _ in range(3)]
    for number, turn in enumerate(ids):
        behind = ids[number + 1 :]
        assert [store.leased(ME, each) for each in reversed(behind)] == [None] * len(behind)
        assert [store.awaited(store.deployment(each)) for each in behind] == [turn] * len(behind)
        assert store.awaited(store.deployment(turn)) is None
        lease = store.leased(ME, turn)
        assert lease is not None
        assert [store.awaited(store.deployment(each)) for each in behind] == [turn] * len(behind)
        store.append(lease, Event("success"))


def test_a_request_that_is_not_first_is_not_claimed_with_it(store: OpenStore) -> None:
    configure(store)
    first = store.request(RUN)
    assert store.request_leased(RUN, ME)[1] is None
    assert store.request_leased(DEPLOY, ME)[1] is not None, "a deployment stands for all that wait"
    assert store.deployment(first).status == "pending"


def test_a_run_waits_for_all_that_comes_before(store: OpenStore) -> None:
    configure(store, executor="unit")
    of_a_unit = store.request(RUN)
    configure(store)
    own = store.request(RUN)
    back = store.request(DEPLOY._replace(kind="rollback", release="r1"))
    store.request(DEPLOY)
    for turn in (back, of_a_unit):
        assert store.leased(ME, own) is None
        assert store.awaited(store.deployment(own)) == turn
        lease = store.leased(ME, turn)
        assert lease is not None
        store.append(lease, Event("success"))
    assert store.leased(ME, own) is not None


def test_what_a_unit_executes_does_not_wait_for_what_waits_for_a_worker(store: OpenStore) -> None:
    configure(store)
    store.request(RUN)
    store.request(DEPLOY)
    configure(store, executor="unit")
    own, next_one = store.request(RUN), store.request(RUN)
    assert [each.id for each in store.awaiting_units()] == [own]
    assert store.awaited(store.deployment(own)) is None
    assert store.awaited(store.deployment(next_one)) == own
    back = store.request(DEPLOY._replace(kind="rollback", release="r1"))
    assert store.awaited(store.deployment(own)) == back, "which is more urgent"
    store.request_cancel(back, "ada")
    assert store.leased(ME, own) is not None
    assert store.leased(ME) is None, "the deployment waits for the run"


def test_runs_wait_for_nothing_of_another_lane_or_environment(store: OpenStore) -> None:
    configure(store, deploys_wait=False, executor="unit")
    store.request(DEPLOY)
    runs = [store.request(RUN), store.request(RUN._replace(environment="staging"))]
    store.request(RUN)
    assert [each.id for each in store.awaiting_units()] == runs
    assert [each.id for each in store.awaiting_units("load", "staging")] == runs[1:]
    assert all(store.leased(ME, each) for each in runs)


def test_each_run_that_may_overlap_is_first(store: OpenStore) -> None:
    configure(store, "allow", deploys_wait=False, executor="unit")
    store.request(DEPLOY)
    runs = [store.request(RUN) for _ in range(3)]
    assert [each.id for each in store.awaiting_units()] == runs
    assert [store.awaited(store.deployment(each)) for each in runs] == [None] * 3
    assert all(store.leased(ME, each) for each in reversed(runs))


def test_a_run_that_was_cancelled_is_waited_for_no_more(store: OpenStore) -> None:
    configure(store, executor="unit")
    first, second = store.request(RUN), store.request(RUN)
    store.request_cancel(first, "ada")
    assert [each.id for each in store.awaiting_units()] == [second]
    assert store.leased(ME, second) is not None


def test_what_follows_an_ending_is_requested_with_it(store: OpenStore) -> None:
    configure(store)
    lease = claimed(store, DEPLOY)
    store.request(DEPLOY)  # which would keep a recovery from it
    follows = RUN._replace(trigger="on_deploy", requested_for=lease.deployment_id)
    store.append(lease, Event("success"), follow_up=follows)
    run = store.deployments()[0]
    assert (run.trigger, run.requested_for) == ("on_deploy", lease.deployment_id)
    assert (run.kind, run.status) == ("run", "pending")


def test_nothing_follows_an_ending_that_is_refused(store: OpenStore) -> None:
    configure(store)
    lease = claimed(store, DEPLOY)
    store.append(lease, Event("failed"))
    before = store.deployments()
    with pytest.raises(FencedError):
        store.append(lease, Event("success"), follow_up=RUN)
    assert store.deployments() == before


def test_a_release_is_in_use_while_a_run_of_it_is_under_way(store: OpenStore) -> None:
    configure(store, "allow", deploys_wait=False)
    leases = [claimed(store, RUN) for _ in range(2)]
    for name, lease in zip(("r1", "r2"), leases, strict=True):
        store.append(lease, Event("release_chosen", release=name, commit_sha="c" * 40))
    store.append(claimed(store, DEPLOY), Event("release_chosen", release="r3", commit_sha="c" * 40))
    assert store.releases_in_use("load", "production") == {"r1", "r2"}
    assert store.releases_in_use("load", "staging") == set()
    store.append(leases[0], Event("success"))
    assert store.releases_in_use("load", "production") == {"r2"}


def test_whether_a_run_of_a_release_had_succeeded_is_known(store: OpenStore) -> None:
    configure(store)

    def ended(place: str, kind: str, release: str, status: Ending, *arguments: str) -> str:
        lease = claimed(store, RUN._replace(environment=place, kind=kind, arguments=arguments))
        store.append(lease, Event("release_chosen", release=release, commit_sha="c" * 40), Event(status))
        return lease.deployment_id

    ended("production", "deploy", "r1", "success")
    ended("staging", "run", "r1", "success")
    ended("production", "run", "r2", "success")
    failed = store.deployment(ended("production", "run", "r1", "failed"))
    ended("production", "run", "r1", "success", "--help")
    assert not store.has_succeeded(failed, "r1")
    assert store.has_succeeded(failed, "r2")
    assert store.has_succeeded(failed._replace(arguments=("--help",)), "r1")
    assert not store.has_succeeded(failed._replace(arguments=("--help", "")), "r1")
    ended("production", "run", "r1", "success")
    assert store.has_succeeded(failed, "r1")


def test_a_run_does_not_hide_what_became_of_the_last_deployment(store: OpenStore) -> None:
    configure(store)
    failed = claimed(store, DEPLOY)
    store.append(failed, Event("failed", message="it broke"))
    store.append(claimed(store, RUN), Event("success"))
    store.request(RUN)
    (status,) = store.status("load", "production")
    assert (status.deployment_id, status.awaits_decision) == (failed.deployment_id,) * 2
    assert status.pending is False


@pytest.mark.parametrize("deploys_wait", [True, False])
def test_a_run_keeps_no_deployment_from_being_the_last(store: OpenStore, deploys_wait: bool) -> None:
    configure(store, deploys_wait=deploys_wait)
    lease = claimed(store, DEPLOY)
    store.request(RUN)
    store.append(lease, Event("interrupted"), request=DEPLOY._replace(trigger="recovery"))
    assert store.deployments()[0].trigger == "recovery"


@pytest.mark.parametrize("trigger", ["schedule", "on_deploy", "reconcile"])
def test_a_run_pushes_nothing_that_could_make_a_deployment_stale(store: OpenStore, trigger: Trigger) -> None:
    configure(store)
    run = claimed(store, RUN._replace(trigger=trigger))
    store.append(run, Event("release_chosen", release="r1", commit_sha="d" * 40), Event("success"))
    by_commit = store.deployment(store.request(DEPLOY._replace(ref=None, trigger="recovery")))
    assert store.pushed_commits(by_commit) == []


def test_a_run_does_not_say_that_a_ref_has_moved(store: OpenStore) -> None:
    configure(store)
    deployed = claimed(store, DEPLOY)
    store.append(deployed, Event("release_chosen", release="r1", commit_sha="c" * 40), Event("success"))
    store.append(claimed(store, RUN), Event("success"))
    repeated = store.deployment(store.request(DEPLOY._replace(trigger="webhook", repeats=str(UUID(int=1)))))
    assert store.may_have_returned(repeated, "c" * 40)
    store.request(DEPLOY._replace(ref="refs/heads/other", commit_sha="d" * 40))
    assert not store.may_have_returned(repeated, "c" * 40)


def test_the_newest_runs_are_found_however_many_follow(store: OpenStore) -> None:
    configure(store, "skip", deploys_wait=False)
    assert store.newest_runs() == []
    fired = claimed(store, RUN._replace(trigger="schedule", requested_by=None))
    store.append(fired, Event("failed", message="no"))
    begun = claimed(store, RUN)
    for _ in range(30):
        store.request(RUN)  # skipped
        store.append(claimed(store, DEPLOY), Event("failed", message="no"))
    elsewhere = store.request(RUN._replace(environment="staging"))
    assert [each.id for each in store.newest_runs()] == [
        elsewhere,
        begun.deployment_id,
        fired.deployment_id,
    ]
    assert [each.id for each in store.newest_runs("load", "staging")] == [elsewhere]
    assert store.newest_runs("other") == []


def test_a_run_that_its_schedule_requested_in_vain_is_among_the_newest(store: OpenStore) -> None:
    configure(store, "skip")
    waiting = store.request(RUN)
    fired = store.request(RUN._replace(trigger="schedule", requested_by=None))
    assert [(each.id, each.status) for each in store.newest_runs()] == [
        (fired, "skipped"),
        (waiting, "pending"),
    ]


def deployed(store: OpenStore, commit: str, trigger: Trigger, ending: Ending = "success") -> str:
    lease = claimed(store, DEPLOY._replace(commit_sha=commit * 40, trigger=trigger))
    if ending == "success":
        store.append(lease, Event("serving", release=f"r{commit}", commit_sha=commit * 40))
    store.append(lease, Event(ending, message="no"))
    return lease.deployment_id


def test_a_push_is_ahead_however_many_runs_follow(store: OpenStore) -> None:
    configure(store, deploys_wait=False)
    deployed(store, "a", "webhook")
    assert store.pushes_ahead() == []
    failed = deployed(store, "b", "webhook", "failed")
    for _ in range(30):
        store.append(claimed(store, RUN), Event("success"))
    deployed(store, "c", "manual", "failed")
    (ahead,) = store.pushes_ahead()
    assert (ahead.id, ahead.commit_sha) == (failed, "b" * 40)
    assert store.pushes_ahead("load", "production") == [ahead]
    assert store.pushes_ahead("load", "staging") == []
    deployed(store, "a", "manual")
    assert store.pushes_ahead() == []
    waiting = store.request(DEPLOY._replace(commit_sha="d" * 40, trigger="webhook"))
    assert [each.id for each in store.pushes_ahead()] == [waiting]
    store.request(DEPLOY._replace(commit_sha="a" * 40, trigger="webhook"))
    assert store.pushes_ahead() == []


def test_the_previous_one_is_the_last_before_it_that_was_good_or_failed(store: OpenStore) -> None:
    configure(store)
    ids = []
    for ending in ("failed", "cancelled", "success"):
        lease = claimed(store, RUN)
        store.append(lease, Event(ending))
        ids.append(lease.deployment_id)
    failed, cancelled, good = map(store.deployment, ids)
    assert store.previous(failed) is None
    assert store.previous(cancelled) == store.previous(good) == failed

"""Holds and freeze windows: what they let wait and what goes on, who overrode them, and what ends them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from fraisier_core.engine.recovery import interrupt
from fraisier_core.errors import HeldError, StoreError
from fraisier_core.requests.freezing import Timetable
from fraisier_core.store.events import Event
from fraisier_core.store.holds import Window
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.store.vocabulary import Trigger
from fraisier_core.system.host import utc_text
from fraisier_core.system.processes import ProcessIdentity

from tests.databases import Database
from tests.stores import OpenStore

ME = ProcessIdentity.of(os.getpid())
PUSH = Request("web", "production", "deploy", "webhook", "ada", "refs/heads/main", "c" * 40)
MANUAL = PUSH._replace(trigger="manual", requested_by="bob")
FREEZE = ("web", "production", "0 22 * * * 8h UTC", "nobody is awake")


@pytest.fixture
def store(database: Database) -> Iterator[OpenStore]:
    with closing(database.open()) as store:
        environment = ConfiguredEnvironment("web", "etl", None, None, "production", None, "main")
        environment = environment._replace(
            has_job=True, overlap="queue", deploys_wait=True, executor="worker"
        )
        other = ConfiguredEnvironment("shop", "etl", None, None, "production", None, "main")
        store.configure([environment, environment._replace(environment="staging"), other])
        yield store


def at(**from_now: float) -> str:
    return utc_text(datetime.now(UTC) + timedelta(**from_now))


def window(begins: dict[str, float], ends: dict[str, float]) -> Window:
    return Window(*FREEZE, at(**begins), at(**ends))


def waits(store: OpenStore, deployment_id: str) -> bool:
    """Whether a deployment waits because of a hold; if not, it is claimed and ends."""
    if (lease := store.leased(ME, deployment_id)) is None:
        return True
    store.append(lease, Event("success"))
    return False


@pytest.mark.parametrize("trigger", ["webhook", "reconcile", "recovery", "replay"])
def test_what_nobody_asks_for_by_hand_waits_until_it_is_resumed(store: OpenStore, trigger: Trigger) -> None:
    before = store.request(PUSH._replace(environment="staging", trigger=trigger))
    store.hold("web", "production", "an incident", "ops")
    held = store.request(PUSH._replace(trigger=trigger))
    claimed = store.leased(ME)
    assert claimed is not None
    assert claimed.deployment_id == before
    assert store.leased(ME) is None
    assert store.request_and_claim(PUSH._replace(trigger=trigger, repeats=held), ME)[1] is None
    assert store.awaited(store.deployment(held)) is None
    (hold,) = store.holds()
    assert hold[:5] == ("web", "production", "manual", "an incident", "ops")
    assert store.holds("web", "staging") == store.holds("shop") == []
    assert len(store.resume("web", "production", "bob")) == 1
    assert store.holds() == []
    assert not waits(store, held)


def test_the_newest_push_is_deployed_once_it_is_resumed(store: OpenStore) -> None:
    store.hold("web", None, "an incident", "ops")
    ids = [store.request(PUSH._replace(commit_sha=str(number) * 40)) for number in range(3)]
    assert store.leased(ME) is None
    store.resume("web", None, "ops")
    lease = store.leased(ME)
    assert lease is not None
    assert lease.deployment_id == ids[-1]
    assert [store.deployment(each).status for each in ids] == ["superseded", "superseded", "running"]


@pytest.mark.parametrize("overrides", [True, False], ids=["overrides", "before"])
def test_what_is_held_does_not_supersede_what_is_not(store: OpenStore, overrides: bool) -> None:
    store.request(PUSH)
    running = store.leased(ME)
    assert running is not None
    if not overrides:
        by_hand = store.request(MANUAL)
    store.hold("web", "production", "an incident", "ops")
    if overrides:
        by_hand = store.request(MANUAL._replace(overrides_hold=True))
    pushes = [store.request(PUSH._replace(commit_sha=each * 40)) for each in "de"]
    assert [store.deployment(each).status for each in (by_hand, *pushes)] == [
        "pending",
        "superseded",
        "pending",
    ]
    store.append(running, Event("success"))
    lease = store.leased(ME)
    assert lease is not None
    assert lease.deployment_id == by_hand
    store.requeue(lease)
    assert store.deployment(by_hand).status == "pending", "nor does it if that has to begin again"
    assert not waits(store, by_hand)
    assert waits(store, pushes[1])
    store.resume("web", "production", "ops")
    assert not waits(store, pushes[1])


def test_what_is_held_does_not_follow_an_interruption_of_what_is_not(store: OpenStore) -> None:
    store.hold("web", "production", "an incident", "ops")
    by_hand, claimed = store.request_and_claim(MANUAL._replace(overrides_hold=True), ME)
    assert claimed is not None
    held = store.request(PUSH)
    interrupt(store, claimed.lease, store.deployment(by_hand), "gone")
    assert store.deployment(by_hand).error_message == "gone; waits for a decision: a user requested it"
    (status,) = store.status("web", "production")
    assert (status.deployment_id, status.status, status.awaits_decision) == (held, "pending", by_hand)
    again = store.request(MANUAL._replace(overrides_hold=True))
    store.request(PUSH._replace(commit_sha="d" * 40))
    (status,) = store.status("web", "production")
    assert (status.deployment_id, status.awaits_decision) == (again, None), "what begins first is shown"
    store.resume("web", "production", "ops")
    assert store.status("web", "production")[0].awaits_decision is None


def test_the_newest_supersedes_all_that_wait_once_it_is_resumed(store: OpenStore) -> None:
    store.hold("web", "production", "an incident", "ops")
    by_hand = store.request(MANUAL._replace(overrides_hold=True))
    held = store.request(PUSH)
    store.resume("web", "production", "ops")
    newest = store.request(PUSH._replace(commit_sha="d" * 40))
    assert [store.deployment(each).superseded_by for each in (by_hand, held)] == [newest, newest]
    store.rebuild()
    assert store.deployment(newest).status == "pending"


def test_a_clock_that_is_set_back_does_not_let_anything_through(store: OpenStore) -> None:
    held = store.request(PUSH)
    store.execute(
        "INSERT INTO tb_holds (id, cause, fraise_id, environment, reason, held_by, begins_at)"
        f" VALUES ('{held}', 'manual', 'web', 'production', 'an incident', 'ops', '{at(seconds=90)}')"
    )
    assert waits(store, held)
    assert len(store.resume("web", "production", "ops")) == 1


def test_a_claim_reads_no_hold_that_has_expired(store: OpenStore, database_name: str) -> None:
    queries = ("claimable_deployments", "holds_in_force LIMIT 1")
    if database_name == "sqlite":
        plans = [store.all(f"EXPLAIN QUERY PLAN SELECT * FROM {each}") for each in queries]
        of_claim, of_any = ("; ".join(row["detail"] for row in plan) for plan in plans)
        assert of_claim.count("hold_of_fraise (fraise_id=? AND <expr>>?)") == 2
        assert "hold_by_end (<expr>>?)" in of_any
        return
    store.execute("SET enable_seqscan = off")
    plans = [store.all(f"EXPLAIN (FORMAT json) SELECT * FROM {each}") for each in queries]
    of_claim, of_any = (str(plan[0]["QUERY PLAN"]) for plan in plans)
    in_force = re.compile(r"Index Cond\W+.*COALESCE\(ends_at, 'infinity'")
    assert len(in_force.findall(of_claim)) == 2
    assert in_force.search(of_any)


def test_runs_and_rollbacks_go_on_and_pass_what_is_held(store: OpenStore) -> None:
    store.hold("web", None, "an incident", "ops")
    held = store.request(PUSH)
    run = store.request(Request("web", "production", "run", "schedule", None))
    assert store.deployment(run).lane == store.deployment(held).lane
    assert store.awaited(store.deployment(run)) is None
    assert not waits(store, run)
    rollback = Request("web", "production", "rollback", "manual", "ada", release="one")
    assert not waits(store, store.request(rollback))
    assert not waits(store, store.request(rollback._replace(trigger="on_failure")))
    assert waits(store, held)


def test_what_a_user_requests_is_refused_unless_it_overrides_the_hold(store: OpenStore) -> None:
    store.hold("web", "production", "an incident", "ops", at(hours=2))
    with pytest.raises(HeldError, match=r"web production is held by ops until .* UTC: an incident; run `fr"):
        store.request(MANUAL)
    with pytest.raises(HeldError):
        store.request_and_claim(MANUAL, ME)
    assert store.deployments() == []
    deployment_id, claimed = store.request_and_claim(MANUAL._replace(overrides_hold=True), ME)
    assert claimed is not None
    assert claimed.deployment.overridden_hold == "an incident"
    repeated = store.deployment(deployment_id).repeated()._replace(trigger="recovery", requested_by=None)
    store.append(claimed.lease, Event("interrupted", message="gone"), request=repeated)
    (recovery, *_) = store.deployments()
    assert recovery.trigger == "recovery"
    assert not waits(store, recovery.id), "who overrode the hold once is not held again"
    told = [(each.actor, each.action, each.subject) for each in store.audit_events(10)]
    assert ("bob", "override_hold", "web production") in told
    assert [each[1] for each in told].count("override_hold") == 1


def test_what_a_user_requested_before_the_hold_may_be_requested_again_during_it(store: OpenStore) -> None:
    store.request(PUSH)
    running = store.leased(ME)
    assert running is not None
    by_hand, stale = store.request(MANUAL), store.request(PUSH._replace(commit_sha="d" * 40))
    store.append(running, Event("success"))
    lease = store.leased(ME, stale)
    assert lease is not None
    store.hold("web", "production", "an incident", "ops")
    store.skip(lease, "it is stale", store.deployment(by_hand).repeated())
    (again, *_) = store.deployments()
    assert (again.trigger, again.overridden_hold) == ("manual", None)
    assert not waits(store, again.id)


def test_nothing_is_overridden_that_does_not_hold(store: OpenStore) -> None:
    deployment = store.deployment(store.request(MANUAL._replace(overrides_hold=True)))
    assert deployment.overridden_hold is None
    assert not deployment.repeated().overrides_hold


def test_the_audit_says_who_held_and_who_resumed(store: OpenStore) -> None:
    store.hold("web", None, "an incident", "ops")
    store.hold("web", "staging", "a demo", "ada", "2099-01-01T00:00:00.000000Z")
    assert store.resume("web", "production", "bob") == []
    assert len(store.resume("web", None, "bob")) == 2
    assert store.resume("web", None, "bob") == []
    told = {(each.actor, each.action, each.subject, each.detail) for each in store.audit_events(10)}
    assert told == {
        ("ops", "hold", "web", "an incident"),
        ("ada", "hold", "web staging", "a demo, until 2099-01-01T00:00:00.000000Z"),
        ("bob", "resume", "web", "an incident"),
        ("bob", "resume", "web staging", "a demo"),
    }


def test_of_several_holds_the_one_that_ends_last_is_told(store: OpenStore) -> None:
    store.hold("web", "production", "a demo", "ada", at(hours=3))
    store.hold("web", None, "an incident", "ops", at(hours=5))
    store.freeze([window({"hours": -1}, {"hours": 4})], decides=True)
    assert [each.reason for each in store.holds("web", "production")] == ["an incident"]
    store.hold("web", "production", "for good", "ops")
    assert [each.reason for each in store.holds("web", "production")] == ["for good"]
    store.resume("web", None, "ops")
    (hold,) = store.holds("web")
    assert hold[:5] == ("web", "production", "freeze", "nobody is awake", None)
    assert "resume" not in hold.refusal


@pytest.mark.parametrize(
    ("begins", "ends", "holds"),
    [
        ({"hours": -1}, {"hours": 1}, True),
        ({"hours": 1}, {"hours": 2}, False),
        ({"hours": -2}, {"seconds": -1}, False),
    ],
)
def test_a_window_holds_from_its_beginning_to_its_end(
    store: OpenStore, begins: dict[str, float], ends: dict[str, float], holds: bool
) -> None:
    held = store.request(PUSH)
    store.freeze([window(begins, ends)], decides=True)
    assert bool(store.holds()) is holds
    assert waits(store, held) is holds


def test_a_window_ends_with_its_rule_and_is_forgotten_once_it_is_over(store: OpenStore) -> None:
    now, over = window({"hours": -1}, {"hours": 1}), window({"hours": -3}, {"hours": -2})
    other = now._replace(environment="staging", reason="another")
    for _ in range(2):
        store.freeze([now, over, other], decides=True)
        assert len(store.holds()) == 2
    store.freeze([now, other], decides=False)
    assert len(store.all("SELECT id FROM tb_holds")) == 2, "what is over is forgotten by whoever looks"
    store.freeze([other], decides=True)
    assert [each.environment for each in store.holds()] == ["staging"]
    store.freeze([], decides=True)
    assert store.all("SELECT id FROM tb_holds") == []


def test_a_window_ends_when_it_is_known_to_end(store: OpenStore) -> None:
    early = window({"hours": -1}, {"hours": 1})
    for found in (early, early._replace(ends_at=at(hours=3)), early):
        store.freeze([found], decides=True)
        assert [each.ends_at for each in store.holds()] == [found.ends_at]


def test_only_who_executes_decides_which_windows_hold(store: OpenStore) -> None:
    here, elsewhere = window({"hours": -1}, {"hours": 1}), window({"hours": -3}, {"hours": 3})
    store.freeze([here], decides=False)
    for found in ([elsewhere], [], [elsewhere._replace(environment="staging")]):
        store.freeze(found, decides=False)
    assert [(each.environment, each.ends_at) for each in store.holds()] == [
        ("production", here.ends_at),
        ("staging", elsewhere.ends_at),
    ], "other hosts add what nobody knows, and take nothing away"
    store.freeze([elsewhere], decides=True)
    assert [(each.environment, each.ends_at) for each in store.holds()] == [("production", elsewhere.ends_at)]


def test_who_decides_takes_back_what_others_recorded_since(store: OpenStore) -> None:
    now = datetime.now(UTC)
    found = Timetable((window({"hours": -1}, {"hours": 1}),), now, None)
    assert found.is_recent(now + timedelta(seconds=1))
    later = now + timedelta(minutes=1)
    assert not found.is_recent(later)
    store.freeze([window({"hours": -1}, {"hours": 1})._replace(schedule="of an older file")], decides=False)
    again = found.again(store, later)
    assert [each["schedule"] for each in store.all("SELECT schedule FROM tb_holds")] == [FREEZE[2]]
    assert again.is_recent(later)
    assert again.holds_at(later)


def test_a_hold_is_resumed_once_and_changed_by_nobody_otherwise(store: OpenStore) -> None:
    store.hold("web", None, "an incident", "ops")
    with pytest.raises(StoreError, match="can only be resumed"):
        store.execute("UPDATE tb_holds SET reason = 'none'")
    with pytest.raises(StoreError, match="append-only"):
        store.execute("DELETE FROM tb_holds")
    store.resume("web", None, "ops")
    with pytest.raises(StoreError, match="can only be resumed"):
        store.execute("UPDATE tb_holds SET resumed_at = begins_at")


def test_a_fold_from_the_beginning_knows_what_obeys_holds(store: OpenStore) -> None:
    store.hold("web", None, "an incident", "ops")
    ids = [store.request(PUSH), store.request(PUSH._replace(environment="staging"))]
    ids += [store.request(MANUAL._replace(overrides_hold=True))]
    before = [store.deployment(each) for each in ids]
    assert [each.obeys_holds for each in before] == [True, True, False]
    store.rebuild()
    assert [store.deployment(each) for each in ids] == before

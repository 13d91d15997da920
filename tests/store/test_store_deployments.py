import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from fraisier_core.errors import FencedError, UnknownNameError
from fraisier_core.store.events import Event, Untold
from fraisier_core.store.received import Delivery
from fraisier_core.store.records import ConfiguredEnvironment, HeldLease, Lease, Request
from fraisier_core.store.relational.dialect import ConstraintError
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.system.timing import LEASE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.databases import Database
from tests.stores import OpenStore

ME = ProcessIdentity.of(os.getpid())
FOLDED = ("tb_deployments", "tb_attempts", "tb_steps", "tb_serving")
COMMIT = "c" * 40


def environment(name: str) -> ConfiguredEnvironment:
    return ConfiguredEnvironment("api", "api", "An API", "example.com/acme/api", name, None, "main")


def opened(database: Database) -> OpenStore:
    store = database.open()
    store.configure([environment("production"), environment("staging")])
    return store


def request(environment: str = "production", **changes: Any) -> Request:
    return Request("api", environment, "deploy", "manual", "ada", "refs/heads/main", COMMIT)._replace(
        **changes
    )


@pytest.fixture
def store(database: Database) -> Iterator[OpenStore]:
    with closing(opened(database)) as store:
        yield store


def claimed(store: OpenStore, **changes: Any) -> Lease:
    store.request(request(**changes))
    lease = store.leased(ME)
    assert lease is not None
    return lease


def only_held(store: OpenStore) -> HeldLease:
    (held,) = store.leases()
    return held


# The fold

Operation = Callable[[OpenStore, Sequence[Lease]], None]


def _on_newest(*events: Event) -> Operation:
    def append(store: OpenStore, leases: Sequence[Lease]) -> None:
        if leases:
            store.append(leases[-1], *events)

    return append


def _request(environment: str, kind: str) -> Operation:
    def ask(store: OpenStore, _: Sequence[Lease]) -> None:
        store.request(request(environment, kind=kind, release="r0" if kind == "rollback" else None))

    return ask


def _claim(store: OpenStore, _: Sequence[Lease]) -> None:
    store.leased(ME)


def _requeue(store: OpenStore, leases: Sequence[Lease]) -> None:
    if leases:
        store.requeue(leases[-1])


def _take_over(store: OpenStore, _: Sequence[Lease]) -> None:
    for held in store.leases():
        store.take_over(held, ME)


def _cancel(store: OpenStore, leases: Sequence[Lease]) -> None:
    for lease in leases:
        store.request_cancel(lease.deployment_id, "ada")
    store.request_cancel(store.request(request("staging")), "ada")


def _step(store: OpenStore, leases: Sequence[Lease]) -> None:
    if leases:
        number = len(store.steps(leases[-1].deployment_id)) + 1
        started = Event("step_started", step="build", step_number=number)
        finished = Event(
            "step_finished", step="build", step_number=number, step_status="success", duration=0.1
        )
        store.append(leases[-1], *([started, finished] if number % 2 else [started]))


ENDINGS = ("rolled_back", "cancelled", "interrupted", "skipped")
OPERATIONS: list[Operation] = [
    _request("production", "deploy"),
    _request("production", "rollback"),
    _request("staging", "deploy"),
    _claim,
    _claim,
    _step,
    _requeue,
    _take_over,
    _cancel,
    _on_newest(Event("release_chosen", release="r1", commit_sha=COMMIT, previous_release="r0")),
    _on_newest(Event("activation_started", release="r1")),
    _on_newest(Event("rollback_started", release="r0", message="unhealthy")),
    _on_newest(Event("serving", release="r1", commit_sha=COMMIT), Event("success", duration=1.5)),
    _on_newest(Event("serving"), Event("failed", message="broken", duration=0.5)),
    *(
        _on_newest(Event(name, message=name))
        for name in ("rolled_back", "cancelled", "interrupted", "skipped")
    ),
]


def folded(store: OpenStore) -> dict[str, list[Any]]:
    return {table: rows(store, f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in FOLDED}


def rows(store: OpenStore, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in store.all(sql)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(st.sampled_from(OPERATIONS), max_size=40))
def test_folding_every_event_again_gives_the_same(database: Database, operations: list[Operation]) -> None:
    database.clear()
    with closing(opened(database)) as store:
        for operation in operations:
            operation(store, [held.lease for held in store.leases()])
        before = folded(store)
        store.rebuild()
        assert folded(store) == before


def test_a_request_by_plain_sql_is_folded_and_so_again_however_many_events_came_between(
    store: OpenStore,
) -> None:
    store.append(claimed(store), Event("success"))
    ids = ["00000000-0000-7000-8000-00000000000a", "00000000-0000-7000-8000-00000000000b"]
    places = zip(ids, (20_000, 45_678), ("production", "staging"), strict=True)
    for deployment_id, sequence, environment in places:
        store.number_events_from(sequence)
        store.execute(
            "INSERT INTO tb_deployment_events (sequence, deployment_id, number, event, at, fraise_id,"
            f" environment, kind, trigger) VALUES ({sequence}, '{deployment_id}', 1, 'requested',"
            f" '2026-01-01T00:00:00.000000Z', 'api', '{environment}', 'deploy', 'manual')"
        )
    assert [store.deployment(each).status for each in ids] == ["pending", "pending"]
    before = folded(store)
    store.rebuild()
    assert folded(store) == before


def test_rebuilding_repairs_what_was_changed_by_hand(store: OpenStore) -> None:
    store.append(claimed(store), Event("success"))
    before = folded(store)
    store.execute("UPDATE tb_deployments SET status = 'failed'")
    store.rebuild()
    assert folded(store) == before


# What the database itself guarantees


@pytest.mark.parametrize("table", ["tb_deployment_events", "tb_webhook_events"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {0} SET sequence = 7",
        "DELETE FROM {0}",
        "INSERT INTO {0} SELECT * FROM {0} WHERE true ON CONFLICT (sequence) DO UPDATE SET sequence = 7",
    ],
)
def test_events_are_append_only(store: OpenStore, table: str, change: str) -> None:
    store.request(request())
    store.accept_now(Delivery("forge", "ping", None, True, b"{}", "2026-01-31T12:00:00Z", ("a ping",)))
    before = rows(store, f"SELECT * FROM {table}")
    sql = change.format(table)
    with pytest.raises(ConstraintError, match=f"{table} is append-only"):
        store.execute(sql)
    assert rows(store, f"SELECT * FROM {table}") == before


def test_a_second_waiting_deployment_is_refused(store: OpenStore) -> None:
    first = store.request(request())
    second = store.request(request())
    assert store.deployment(first).status == "superseded"
    with pytest.raises(ConstraintError, match=r"(?i)unique"):
        store.execute("UPDATE tb_deployments SET status = 'pending'")
    assert store.deployment(second).status == "pending"


def test_a_second_running_deployment_is_refused(store: OpenStore) -> None:
    claimed(store)
    store.request(request(kind="rollback", release="r0"))
    assert store.leased(ME) is None
    with pytest.raises(ConstraintError, match=r"(?i)unique"):
        store.execute("UPDATE tb_deployments SET status = 'running'")


def test_environments_are_kept_in_the_order_of_the_configuration(store: OpenStore) -> None:
    here = environment("production")
    moved = environment("staging")._replace(app_path="/srv/api")
    select = "SELECT environment, app_path FROM tb_environments WHERE configured ORDER BY position"
    for order in ([here, moved], [moved, environment("blue"), here], [here]):
        store.configure(order)
        found = [(row["environment"], row["app_path"]) for row in store.all(select)]
        assert found == [(each.environment, each.app_path) for each in order]


def test_why_the_plugin_of_a_fraise_cannot_be_used_is_kept_until_it_can(store: OpenStore) -> None:
    for problem in ("no plugin offers it", None):
        store.configure([environment("production")._replace(problem=problem)])
        assert [row["problem"] for row in store.all("SELECT problem FROM tb_fraises")] == [problem]


def test_what_is_not_configured_is_refused(store: OpenStore) -> None:
    with pytest.raises(ConstraintError, match=r"(?i)foreign key"):
        store.request(request("unheard-of"))


@pytest.mark.parametrize(
    "fault", [{"environment": "unheard-of"}, {"fraise_id": "unheard-of"}, {"trigger": "unheard-of"}]
)
def test_of_several_requests_none_is_recorded_if_one_is_refused(
    store: OpenStore, fault: dict[str, str]
) -> None:
    with pytest.raises(ConstraintError):
        store.request_all([request(), request("staging")._replace(**fault), request()])  # type: ignore[arg-type]
    assert store.deployments() == []
    assert store.events() == []


def test_several_requests_are_recorded_in_their_order(store: OpenStore) -> None:
    ids = store.request_all([request(), request("staging"), request()])
    assert [each.deployment_id for each in store.events() if each.event == "requested"] == ids
    assert [store.deployment(each).status for each in ids] == ["superseded", "pending", "pending"]


def test_what_has_ended_stays_ended(store: OpenStore) -> None:
    lease = claimed(store)
    store.append(lease, Event("failed", message="broken"))
    with pytest.raises((FencedError, ConstraintError)):
        store.append(lease, Event("success"))
    assert store.deployment(lease.deployment_id).status == "failed"


# Store


def test_another_token_is_refused(store: OpenStore) -> None:
    lease = claimed(store)
    for token in (lease.token + 1, lease.token - 1, 0):
        with pytest.raises(FencedError):
            store.append(lease._replace(token=token), Event("success"))
    assert store.deployment(lease.deployment_id).status == "running"


def test_whoever_lost_the_lease_can_write_and_renew_no_more(store: OpenStore) -> None:
    old = claimed(store)
    new = store.take_over(only_held(store), ME)
    assert new is not None
    assert new.token != old.token
    with pytest.raises(FencedError):
        store.append(old, Event("activation_started"))
    with pytest.raises(FencedError):
        store.renew(old)
    with pytest.raises(FencedError):
        store.record_command(old, ME)
    with pytest.raises(FencedError):
        store.write_log(old, 1, "too late\n", 0, 100)
    assert store.log(old.deployment_id) == []
    with pytest.raises(FencedError):
        store.append(old, Event("superseded"))
    store.append(new, Event("success"))
    assert store.leases() == []


def test_a_lease_is_taken_over_by_one_alone(store: OpenStore) -> None:
    claimed(store)
    held = only_held(store)
    assert store.take_over(held, ME) is not None
    assert store.take_over(held, ME) is None


def test_a_lease_expires_with_its_process_and_its_boot(database: Database, store: OpenStore) -> None:
    claimed(store)
    assert store.expired() == []
    with closing(database.open(Host(boot_id="another boot"))) as rebooted:
        assert rebooted.expired() == rebooted.leases() == store.leases()
    store.execute("UPDATE tb_leases SET pid_started = pid_started - 1")
    assert store.expired() == store.leases() != []


def test_a_lease_expires_with_its_time(store: OpenStore) -> None:
    lease = claimed(store)
    store.age_leases(LEASE)
    assert store.expired() == store.leases() != []
    store.renew(lease)
    assert store.expired() == []


def test_a_worker_is_alive_until_it_says_otherwise(store: OpenStore) -> None:
    store.heartbeat(ME)
    assert store.live_workers() == 1
    store.forget_worker(ME)
    assert store.live_workers() == 0


# Requests and claims


def test_a_newer_request_supersedes_the_one_that_waits(store: OpenStore) -> None:
    ids = [store.request(request()) for _ in range(3)]
    statuses = [store.deployment(each).status for each in ids]
    assert statuses == ["superseded", "superseded", "pending"]


def test_requests_of_other_environments_and_kinds_do_not_touch_each_other(store: OpenStore) -> None:
    ids = [
        store.request(request()),
        store.request(request("staging")),
        store.request(request(kind="rollback", release="r0")),
    ]
    assert {store.deployment(each).status for each in ids} == {"pending"}


def test_a_rollback_is_claimed_first(store: OpenStore) -> None:
    store.request(request())
    rollback = store.request(request(kind="rollback", release="r0"))
    lease = store.leased(ME)
    assert lease is not None
    assert lease.deployment_id == rollback


def test_a_claim_waits_for_its_environment_alone(store: OpenStore) -> None:
    lease = claimed(store)
    waiting = store.request(request())
    assert store.leased(ME, waiting) is None
    assert store.leased(ME, store.request(request("staging"))) is not None
    store.append(lease, Event("failed", message="broken"))
    assert store.leased(ME, waiting) is not None


def test_a_run_of_a_unit_waits_for_that_until_it_is_claimed_by_its_id(store: OpenStore) -> None:
    job = environment("staging")._replace(has_job=True, overlap="queue", deploys_wait=True, executor="unit")
    store.configure([environment("production"), job])
    first, second = (
        store.request(Request("api", "staging", "run", "schedule", None, None, None)) for _ in range(2)
    )
    store.request(request())
    assert [each.id for each in store.awaiting_units()] == [first]
    assert [each.id for each in store.newest_runs()] == [second]
    claimed = store.claim(ME, first)
    assert claimed is not None
    assert not store.awaiting_units(), "the second waits for the first"
    store.append(claimed.lease, Event("failed", message="no"))
    assert [each.id for each in store.awaiting_units()] == [second]


def test_a_request_is_claimed_with_it_only_if_nothing_runs(store: OpenStore) -> None:
    _, lease = store.request_leased(request(), ME)
    assert lease is not None
    waiting, second = store.request_leased(request(), ME)
    assert second is None
    assert store.deployment(waiting).status == "pending"


def test_a_run_that_started_nothing_waits_again(store: OpenStore) -> None:
    lease = claimed(store)
    store.requeue(lease)
    again = store.leased(ME)
    assert again is not None
    assert (again.deployment_id, again.attempt) == (lease.deployment_id, 2)


def test_a_run_that_started_nothing_gives_way_to_a_newer_one(store: OpenStore) -> None:
    lease = claimed(store)
    newer = store.request(request())
    store.requeue(lease)
    assert store.deployment(lease.deployment_id).status == "superseded"
    assert store.deployment(newer).status == "pending"


def test_a_stale_deployment_is_superseded_by_what_is_requested_with_that(store: OpenStore) -> None:
    lease = claimed(store, trigger="webhook")
    store.supersede(lease, "newer", "older", request(commit_sha="d" * 40))
    (again,) = [each for each in store.deployments() if each.status == "pending"]
    assert again.commit_sha == "d" * 40
    assert store.deployment(lease.deployment_id).superseded_by == again.id


def test_a_stale_deployment_is_superseded_by_the_newer_one_if_nothing_is_requested(store: OpenStore) -> None:
    served = claimed(store, trigger="webhook", commit_sha="d" * 40)
    store.append(served, Event("success"))
    lease = claimed(store, trigger="webhook")
    store.supersede(lease, served.deployment_id, "older")
    assert store.deployment(lease.deployment_id).superseded_by == served.deployment_id
    assert store.leased(ME) is None


def test_what_waits_already_supersedes_a_stale_deployment(store: OpenStore) -> None:
    lease = claimed(store, trigger="webhook")
    waiting = store.request(request())
    store.supersede(lease, "newer", "older", request(commit_sha="d" * 40))
    assert store.deployment(lease.deployment_id).superseded_by == waiting
    assert store.deployment(waiting).status == "pending"


def test_what_waits_is_cancelled_at_once_and_what_runs_on_request(store: OpenStore) -> None:
    lease = claimed(store)
    waiting = store.request(request())
    assert store.request_cancel(waiting, "ada").status == "cancelled"
    assert store.request_cancel(lease.deployment_id, "ada").status == "running"
    assert store.cancellation(lease) == "cancelled by ada"
    store.append(lease, Event("cancelled"))
    assert store.request_cancel(lease.deployment_id, "eve").status == "cancelled"


def test_there_is_nothing_to_say_about_what_never_was(store: OpenStore) -> None:
    with pytest.raises(UnknownNameError, match="no deployment"):
        store.deployment("123")


# Output


def test_output_is_bounded_and_says_how_much_was_left_out(store: OpenStore) -> None:
    lease = claimed(store)
    for number in range(10):
        store.write_log(lease, 1, f"{number}é" * 10, dropped=5, limit=50)
    store.write_log(lease, 2, "another step", dropped=0, limit=50)
    chunks = store.log(lease.deployment_id)
    assert [chunk.text[0] for chunk in chunks] == ["8", "9", "a"]
    assert [chunk.dropped for chunk in chunks] == [9 * 5 + 8 * 30, 5, 0]


def test_a_piece_of_output_above_the_limit_is_kept(store: OpenStore) -> None:
    lease = claimed(store)
    store.write_log(lease, 1, "short", dropped=0, limit=10)
    store.write_log(lease, 1, "longer than the limit", dropped=0, limit=10)
    (chunk,) = store.log(lease.deployment_id)
    assert (chunk.text, chunk.dropped) == ("longer than the limit", 5)


def test_of_what_an_observer_could_not_do_the_last_is_kept_until_it_can(store: OpenStore) -> None:
    lease = claimed(store)
    requested, begun = store.events(deployment_id=lease.deployment_id)
    for event, problem in ((requested, "first"), (begun, "second"), (begun, "third")):
        store.record_untold(event, Untold("teller", event.event, event.at, problem))
    store.record_untold(begun, Untold("another", begun.event, begun.at, "fourth"))
    assert [(each.observer, each.event, each.problem) for each in store.untold(lease.deployment_id)] == [
        ("another", "claimed", "fourth"),
        ("teller", "claimed", "third"),
    ]
    store.forget_untold(requested, "teller")
    assert len(store.untold(lease.deployment_id)) == 2
    store.forget_untold(begun, "teller")
    assert [each.observer for each in store.untold(lease.deployment_id)] == ["another"]

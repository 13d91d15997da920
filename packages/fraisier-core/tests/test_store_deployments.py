import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fraisier_core.errors import FencedError, UnknownNameError
from fraisier_core.store import (
    ConfiguredEnvironment,
    Database,
    Deliveries,
    Delivery,
    Deployments,
    Event,
    HeldLease,
    History,
    Lease,
    Request,
)
from fraisier_core.system.processes import ProcessIdentity, boot_id
from hypothesis import given, settings
from hypothesis import strategies as st

ME = ProcessIdentity.of(os.getpid())
FOLDED = ("tb_deployments", "tb_attempts", "tb_steps", "tb_serving")
COMMIT = "c" * 40


def environment(name: str) -> ConfiguredEnvironment:
    return ConfiguredEnvironment("api", "api", "An API", "example.com/acme/api", name, None, "main")


def opened(path: Path) -> Database:
    database = Database.open(path)
    Deployments(database).configure([environment("production"), environment("staging")])
    return database


def request(environment: str = "production", **changes: Any) -> Request:
    return replace(Request("api", environment, "deploy", "manual", "ada", "main", COMMIT), **changes)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return opened(tmp_path / "store.db")


@pytest.fixture
def deployments(database: Database) -> Deployments:
    return Deployments(database)


def claimed(deployments: Deployments, **changes: Any) -> Lease:
    deployments.request(request(**changes))
    lease = deployments.claim_next(ME)
    assert lease is not None
    return lease


def only_held(deployments: Deployments) -> HeldLease:
    (held,) = deployments.leases.held()
    return held


# The fold

Operation = Callable[[Deployments, Sequence[Lease]], None]


def _on_newest(*events: Event) -> Operation:
    def append(deployments: Deployments, leases: Sequence[Lease]) -> None:
        if leases:
            deployments.append(leases[-1], *events)

    return append


def _request(environment: str, kind: str) -> Operation:
    def ask(deployments: Deployments, _: Sequence[Lease]) -> None:
        deployments.request(request(environment, kind=kind))

    return ask


def _claim(deployments: Deployments, _: Sequence[Lease]) -> None:
    deployments.claim_next(ME)


def _requeue(deployments: Deployments, leases: Sequence[Lease]) -> None:
    if leases:
        deployments.requeue(leases[-1])


def _take_over(deployments: Deployments, _: Sequence[Lease]) -> None:
    for held in deployments.leases.held():
        deployments.take_over(held, ME)


def _cancel(deployments: Deployments, leases: Sequence[Lease]) -> None:
    for lease in leases:
        deployments.request_cancel(lease.deployment_id, "ada")
    deployments.request_cancel(deployments.request(request("staging")), "ada")


def _step(deployments: Deployments, leases: Sequence[Lease]) -> None:
    if leases:
        number = deployments.last_step_number(leases[-1]) + 1
        started = Event("step_started", step="build", step_number=number)
        finished = Event(
            "step_finished", step="build", step_number=number, step_status="success", duration=0.1
        )
        deployments.append(leases[-1], *([started, finished] if number % 2 else [started]))


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
    _on_newest(Event("release_created", release="r1", commit_sha=COMMIT, previous_release="r0")),
    _on_newest(Event("activation_started", release="r1")),
    _on_newest(Event("rollback_started", release="r0", message="unwell")),
    _on_newest(Event("serving", release="r1", commit_sha=COMMIT), Event("success", duration=1.5)),
    _on_newest(Event("serving"), Event("failed", message="broken", duration=0.5)),
    *(
        _on_newest(Event(name, message=name))
        for name in ("rolled_back", "cancelled", "interrupted", "skipped")
    ),
]


def folded(database: Database) -> dict[str, list[Any]]:
    return {table: rows(database, f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in FOLDED}


def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in database.all(sql)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(OPERATIONS), max_size=40))
def test_folding_every_event_again_gives_the_same(operations: list[Operation]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = opened(Path(folder) / "store.db")
        deployments = Deployments(database)
        for operation in operations:
            operation(deployments, [held.lease for held in deployments.leases.held()])
        before = folded(database)
        deployments.rebuild()
        assert folded(database) == before
        database.close()


def test_rebuilding_repairs_what_was_changed_by_hand(database: Database, deployments: Deployments) -> None:
    deployments.append(claimed(deployments), Event("success"))
    before = folded(database)
    database.execute("UPDATE tb_deployments SET status = 'failed'")
    deployments.rebuild()
    assert folded(database) == before


# What the database itself guarantees


@pytest.mark.parametrize("table", ["tb_deployment_events", "tb_webhook_events"])
@pytest.mark.parametrize(
    "change",
    ["UPDATE {0} SET sequence = 7", "DELETE FROM {0}", "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"],
)
def test_events_are_append_only(
    database: Database, deployments: Deployments, table: str, change: str
) -> None:
    deployments.request(request())
    Deliveries(database).accept([Delivery("forge", "ping", None, True, b"{}", "2026-01-31", ("a ping",))])
    before = rows(database, f"SELECT * FROM {table}")
    sql = change.format(table)
    with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
        database.execute(sql)
    assert rows(database, f"SELECT * FROM {table}") == before


@contextmanager
def refused(name: str) -> Iterator[None]:
    with pytest.raises(sqlite3.IntegrityError) as caught:
        yield
    assert caught.value.sqlite_errorname == name


def test_a_second_waiting_deployment_is_refused(database: Database, deployments: Deployments) -> None:
    first = deployments.request(request())
    second = deployments.request(request())
    assert deployments.get(first).status == "superseded"
    with refused("SQLITE_CONSTRAINT_UNIQUE"):
        database.execute("UPDATE tb_deployments SET status = 'pending'")
    assert deployments.get(second).status == "pending"


def test_a_second_running_deployment_is_refused(database: Database, deployments: Deployments) -> None:
    claimed(deployments)
    deployments.request(request(kind="rollback", release="r0"))
    assert deployments.claim_next(ME) is None
    with refused("SQLITE_CONSTRAINT_UNIQUE"):
        database.execute("UPDATE tb_deployments SET status = 'running'")


def test_what_is_not_configured_is_refused(deployments: Deployments) -> None:
    with refused("SQLITE_CONSTRAINT_FOREIGNKEY"):
        deployments.request(request("unheard-of"))


def test_what_has_ended_stays_ended(deployments: Deployments) -> None:
    lease = claimed(deployments)
    deployments.append(lease, Event("failed", message="broken"))
    with pytest.raises((FencedError, sqlite3.IntegrityError)):
        deployments.append(lease, Event("success"))
    assert deployments.get(lease.deployment_id).status == "failed"


# Leases


def test_another_token_is_refused(deployments: Deployments) -> None:
    lease = claimed(deployments)
    for token in (lease.token + 1, lease.token - 1, 0):
        with pytest.raises(FencedError):
            deployments.append(replace(lease, token=token), Event("success"))
    assert deployments.get(lease.deployment_id).status == "running"


def test_whoever_lost_the_lease_can_write_and_renew_no_more(deployments: Deployments) -> None:
    old = claimed(deployments)
    new = deployments.take_over(only_held(deployments), ME)
    assert new is not None
    assert new.token > old.token
    with pytest.raises(FencedError):
        deployments.append(old, Event("activation_started"))
    with pytest.raises(FencedError):
        deployments.leases.renew(old)
    with pytest.raises(FencedError):
        deployments.leases.record_command(old, ME)
    with pytest.raises(FencedError):
        deployments.append(old, Event("superseded"))
    deployments.append(new, Event("success"))
    assert deployments.leases.held() == []


def test_a_lease_is_taken_over_by_one_alone(deployments: Deployments) -> None:
    claimed(deployments)
    held = only_held(deployments)
    assert deployments.take_over(held, ME) is not None
    assert deployments.take_over(held, ME) is None


def test_a_lease_is_void_without_its_process_its_boot_or_its_time(deployments: Deployments) -> None:
    claimed(deployments)
    held = only_held(deployments)
    assert not held.is_expired
    assert replace(held, boot="another boot").is_expired
    assert replace(held, holder=ProcessIdentity(ME.pid, ME.start_time - 1)).is_expired
    assert replace(held, expires=0.0).is_expired
    assert held.boot == boot_id()


def test_a_worker_is_alive_until_it_says_otherwise(deployments: Deployments) -> None:
    deployments.leases.heartbeat(ME)
    assert deployments.leases.live_workers() == 1
    deployments.leases.forget_worker(ME)
    assert deployments.leases.live_workers() == 0


# Requests and claims


def test_a_newer_request_supersedes_the_one_that_waits(deployments: Deployments) -> None:
    ids = [deployments.request(request()) for _ in range(3)]
    statuses = [deployments.get(each).status for each in ids]
    assert statuses == ["superseded", "superseded", "pending"]


def test_requests_of_other_environments_and_kinds_do_not_touch_each_other(deployments: Deployments) -> None:
    ids = [
        deployments.request(request()),
        deployments.request(request("staging")),
        deployments.request(request(kind="rollback", release="r0")),
    ]
    assert {deployments.get(each).status for each in ids} == {"pending"}


def test_a_rollback_is_claimed_first(deployments: Deployments) -> None:
    deployments.request(request())
    rollback = deployments.request(request(kind="rollback", release="r0"))
    lease = deployments.claim_next(ME)
    assert lease is not None
    assert lease.deployment_id == rollback


def test_a_claim_waits_for_its_environment_alone(deployments: Deployments) -> None:
    lease = claimed(deployments)
    waiting = deployments.request(request())
    assert deployments.claim(waiting, ME) is None
    assert deployments.claim(deployments.request(request("staging")), ME) is not None
    deployments.append(lease, Event("failed", message="broken"))
    assert deployments.claim(waiting, ME) is not None


def test_a_request_is_claimed_with_it_only_where_nothing_runs(deployments: Deployments) -> None:
    _, lease = deployments.request_and_claim(request(), ME)
    assert lease is not None
    waiting, second = deployments.request_and_claim(request(), ME)
    assert second is None
    assert deployments.get(waiting).status == "pending"


def test_a_run_that_started_nothing_waits_again(deployments: Deployments) -> None:
    lease = claimed(deployments)
    deployments.requeue(lease)
    again = deployments.claim_next(ME)
    assert again is not None
    assert (again.deployment_id, again.attempt) == (lease.deployment_id, 2)


def test_a_run_that_started_nothing_gives_way_to_a_newer_one(deployments: Deployments) -> None:
    lease = claimed(deployments)
    newer = deployments.request(request())
    deployments.requeue(lease)
    assert deployments.get(lease.deployment_id).status == "superseded"
    assert deployments.get(newer).status == "pending"


def test_a_stale_deployment_gives_way_to_the_newer_commit_that_had_not_had_its_turn(
    deployments: Deployments,
) -> None:
    newer = deployments.request(request(trigger="webhook", commit_sha="d" * 40))
    lease = claimed(deployments, trigger="webhook")
    (pushed,) = deployments.pushed_commits(deployments.get(lease.deployment_id))
    again = deployments.supersede(lease, pushed, "older")
    assert again != newer
    assert deployments.get(again).commit_sha == "d" * 40
    assert deployments.get(again).status == "pending"
    assert deployments.get(lease.deployment_id).status == "superseded"


def test_a_stale_deployment_leaves_alone_what_had_its_turn(deployments: Deployments) -> None:
    served = claimed(deployments, trigger="webhook", commit_sha="d" * 40)
    deployments.append(served, Event("success"))
    lease = claimed(deployments, trigger="webhook")
    (pushed,) = deployments.pushed_commits(deployments.get(lease.deployment_id))
    assert deployments.supersede(lease, pushed, "older") == served.deployment_id
    assert deployments.claim_next(ME) is None


def test_what_waits_is_cancelled_at_once_and_what_runs_is_asked_to_stop(deployments: Deployments) -> None:
    lease = claimed(deployments)
    waiting = deployments.request(request())
    assert deployments.request_cancel(waiting, "ada").status == "cancelled"
    assert deployments.request_cancel(lease.deployment_id, "ada").status == "running"
    assert deployments.cancellation(lease) == "cancelled by ada"
    deployments.append(lease, Event("cancelled"))
    assert deployments.request_cancel(lease.deployment_id, "eve").status == "cancelled"


def test_there_is_nothing_to_say_about_what_never_was(deployments: Deployments) -> None:
    with pytest.raises(UnknownNameError, match="no deployment 123"):
        deployments.get("123")


# Output


def test_output_is_bounded_and_says_how_much_was_left_out(
    database: Database, deployments: Deployments
) -> None:
    lease = claimed(deployments)
    for number in range(10):
        deployments.write_log(lease, 1, f"{number}é" * 10, dropped=5, limit=50)
    deployments.write_log(lease, 2, "another step", dropped=0, limit=50)
    chunks = History(database).log(lease.deployment_id)
    assert [chunk.text[0] for chunk in chunks] == ["8", "9", "a"]
    assert [chunk.dropped for chunk in chunks] == [9 * 5 + 8 * 30, 5, 0]


def test_a_piece_of_output_above_the_limit_is_kept(database: Database, deployments: Deployments) -> None:
    lease = claimed(deployments)
    deployments.write_log(lease, 1, "short", dropped=0, limit=10)
    deployments.write_log(lease, 1, "longer than the limit", dropped=0, limit=10)
    (chunk,) = History(database).log(lease.deployment_id)
    assert (chunk.text, chunk.dropped) == ("longer than the limit", 5)

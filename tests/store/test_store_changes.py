"""Whoever follows the store hears of every change, as it was, once and in order."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from fraisier_core.plugins import Plugins
from fraisier_core.store.events import Event
from fraisier_core.store.protocol import Commits, Reader
from fraisier_core.system.host import Host
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.databases import Database
from tests.store.test_store_deployments import OPERATIONS, Operation, claimed, opened, request
from tests.stores import OpenStore
from tests.waiting import PATIENCE_SECONDS

WRITE_ELSEWHERE = """
import sys
from fraisier_core.plugins import Plugins
from fraisier_core.store.records import Request
from fraisier_core.system.host import Host

store = Plugins.installed().store(sys.argv[1]).open(sys.argv[1], Host())
store.request_all([Request("api", "staging", "deploy", "manual", "ada", "refs/heads/main")])
"""


@pytest.fixture
def store(database: Database) -> Iterator[OpenStore]:
    with closing(opened(database)) as store:
        yield store


@pytest.fixture
def reader(database: Database, store: OpenStore) -> Iterator[Reader]:
    reader = Plugins.installed().store(database.url).open_for_reading(database.url, Host())
    assert reader is not None
    with closing(reader):
        yield reader


def without_json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in row if name not in {"steps", "output", "events", "data"}}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(st.sampled_from(OPERATIONS), max_size=30))
def test_every_change_of_status_is_told_once_as_it_was(
    database: Database, operations: list[Operation]
) -> None:
    database.clear()
    with closing(opened(database)) as store:
        seen: dict[int, dict[str, Any]] = {}
        for operation in operations:
            operation(store, [held.lease for held in store.leases()])
            new = {row["position"]: row for row in store.all("SELECT * FROM v_deployment_history")}
            seen |= {at: without_json(row) for at, row in new.items() if at not in seen}
        changes = store.all("SELECT * FROM v_deployment_changes")
        told = {row["position"]: without_json(row) for row in changes}
        assert {position: told[position] for position in seen} == seen
        assert [each.position for each in store.changes()] == sorted(told)
        within_one_transaction = {told[position]["status"] for position in told.keys() - seen.keys()}
        assert within_one_transaction <= {"pending", "running", "superseded"}


def test_only_what_came_after_a_position_is_told_and_so_much_at_once(store: OpenStore) -> None:
    for _ in range(3):
        store.append(claimed(store), Event("step_started", step="build", step_number=1), Event("success"))
    every = store.changes()
    assert [store.deployment(each.deployment_id).status for each in every] == ["success"] * 9
    assert store.changes(every[3].position, limit=2) == every[4:6]
    assert store.changes(store.position()) == []
    assert store.position() >= every[-1].position


def test_a_cancellation_of_what_runs_is_a_change_when_it_has_ended(store: OpenStore) -> None:
    lease = claimed(store)
    before = store.changes()
    store.request_cancel(lease.deployment_id, "ada")
    assert store.changes() == before
    store.append(lease, Event("cancelled", message="by ada"))
    assert len(store.changes()) == len(before) + 1


def test_output_is_told_of_by_deployment(store: OpenStore) -> None:
    one, other = claimed(store), claimed(store, environment="staging")
    for number, lease in enumerate((one, other, one, one)):
        store.write_log(lease, 1, f"line {number}\n", 0, 10_000)
    chunks = store.output_after(one.deployment_id, 0)
    assert chunks == [each.sequence for each in store.log(one.deployment_id)]
    assert store.output_after(one.deployment_id, chunks[0], limit=1) == chunks[1:2]


def heard(commits: Commits) -> threading.Thread:
    """Return a thread that ends once something is heard."""
    thread = threading.Thread(target=commits.wait, args=[10 * PATIENCE_SECONDS], daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("database_name", ["sqlite"])
def test_a_commit_of_another_process_of_another_connection_and_by_plain_sql_is_heard(
    database: Database, store: OpenStore, reader: Reader
) -> None:
    def in_another_process() -> None:
        subprocess.run([sys.executable, "-c", WRITE_ELSEWHERE, database.url], check=True)

    def by_plain_sql() -> None:
        store.execute("UPDATE tb_fraises SET description = 'other'")

    with closing(reader.commits()) as commits:
        for write in (in_another_process, lambda: store.request(request()), by_plain_sql):
            waiting = heard(commits)
            write()
            waiting.join(PATIENCE_SECONDS)
            assert not waiting.is_alive()


def test_a_follower_who_looks_after_each_wait_misses_nothing(store: OpenStore, reader: Reader) -> None:
    def write() -> None:
        for _ in range(5):
            store.append(claimed(store), Event("failed", message="broken"))

    with closing(reader.commits()) as commits:
        writer = threading.Thread(target=write)
        writer.start()
        seen = reader.changes()
        while len(seen) < 15:
            commits.wait(PATIENCE_SECONDS)
            seen += reader.changes(seen[-1].position if seen else 0)
        writer.join()
    assert seen == store.changes()

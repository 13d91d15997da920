from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fraisier.cli.follow import Follower, Remark
from fraisier_core.store.events import Event
from fraisier_core.store.records import ConfiguredEnvironment, Lease, Request
from fraisier_core.system.processes import ProcessIdentity

from tests.stores import OpenStore, open_store

ENVIRONMENT = ConfiguredEnvironment("my_api", "script", None, None, "production", None, "main")
LIMIT = 1000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[OpenStore]:
    database = open_store(tmp_path / "state" / "fraisier.db")
    yield database
    database.close()


@pytest.fixture
def store(database: OpenStore) -> OpenStore:
    database.configure([ENVIRONMENT])
    return database


@pytest.fixture
def lease(store: OpenStore) -> Lease:
    request = Request("my_api", "production", "deploy", "manual", "me", ref="refs/heads/main")
    _, lease = store.request_leased(request, ProcessIdentity.of(os.getpid()))
    assert lease is not None
    return lease


def test_each_step_gathers_its_own_output(database: OpenStore, store: OpenStore, lease: Lease) -> None:
    follower = Follower(database, lease.deployment_id)
    store.append(lease, Event("step_started", step="fetch", step_number=1))
    store.write_log(lease, 1, "one\n", 0, LIMIT)
    assert [step.output for step in follower.progress().steps] == ["one\n"]
    store.write_log(lease, 1, "two\n", 7, LIMIT)
    store.append(lease, Event("step_started", step="build", step_number=2))
    store.write_log(lease, 2, "three\n", 0, LIMIT)
    steps = follower.progress().steps
    assert [step.output for step in steps] == ["one\n[7 bytes left out]\ntwo\n", "three\n"]
    assert [step.is_running for step in steps] == [True, True]


def test_output_that_is_read_before_its_step_is_kept_for_it(
    database: OpenStore, store: OpenStore, lease: Lease
) -> None:
    follower = Follower(database, lease.deployment_id)
    store.write_log(lease, 1, "early\n", 0, LIMIT)
    assert follower.progress().steps == []
    store.append(lease, Event("step_started", step="fetch", step_number=1))
    assert [step.output for step in follower.progress().steps] == ["early\n"]


def test_the_end_is_told(database: OpenStore, store: OpenStore, lease: Lease) -> None:
    follower = Follower(database, lease.deployment_id)
    assert not follower.progress().has_ended
    store.append(lease, Event("failed", message="no space"))
    progress = follower.progress()
    assert progress.has_ended
    assert progress.deployment.error_message == "no space"


def test_why_it_rolls_back_is_told_after_the_step_that_failed(
    database: OpenStore, store: OpenStore, lease: Lease
) -> None:
    follower = Follower(database, lease.deployment_id)
    store.append(lease, Event("step_started", step="verify", step_number=1))
    follower.progress()
    store.append(lease, Event("step_finished", step="verify", step_number=1, step_status="failed"))
    store.append(lease, Event("rollback_started", release="before", message="no answer"))
    store.append(lease, Event("step_started", step="activate", step_number=2))
    for progress in (follower.progress(), Follower(database, lease.deployment_id).progress()):
        told = [each.text if isinstance(each, Remark) else each.record.name for each in progress.in_order()]
        assert told == ["verify", "rolling back: no answer", "activate"]

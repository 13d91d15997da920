"""Requesting deployments."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from fraisier_core.errors import InvalidRequestError, StoreError
from fraisier_core.requests.requesting import request_deployment
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.system.processes import ProcessIdentity

from tests.stores import OpenStore, open_store

REQUEST = Request("my_api", "production", "deploy", "manual", "ada", ref="refs/heads/main")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OpenStore]:
    store = open_store(tmp_path / "state" / "fraisier.db")
    store.configure([ConfiguredEnvironment("my_api", "api", None, None, "production", None, "main")])
    yield store
    store.close()


def is_woken(store: OpenStore, request: Request, holder: ProcessIdentity | None = None) -> bool:
    wake_ups = store.wake_ups()
    try:
        request_deployment(store, request, holder)
        return bool(select.select([wake_ups], [], [], 0)[0])
    finally:
        wake_ups.close()


def test_a_request_waits_and_wakes_the_workers(store: OpenStore) -> None:
    assert is_woken(store, REQUEST)
    assert [each.status for each in store.deployments()] == ["pending"]


def test_a_request_of_a_process_is_claimed_for_it_unless_the_environment_is_busy(store: OpenStore) -> None:
    holder = ProcessIdentity.of(os.getpid())
    assert not is_woken(store, REQUEST, holder)
    assert is_woken(store, REQUEST, holder)
    assert [each.status for each in store.deployments()] == ["pending", "running"]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (REQUEST._replace(kind="restart"), 'unknown kind of deployment "restart" (known: deploy, rollback)'),
        (REQUEST._replace(kind="rollback"), "a rollback must name its release"),
    ],
)
@pytest.mark.parametrize("holder", [None, ProcessIdentity.of(os.getpid())])
def test_what_no_deployer_could_execute_is_not_requested(
    store: OpenStore, request_: Request, problem: str, holder: ProcessIdentity | None
) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        request_deployment(store, request_, holder)
    assert str(refusal.value) == problem
    assert store.deployments() == []


def test_what_is_not_configured_is_not_requested(store: OpenStore) -> None:
    with pytest.raises(StoreError):
        request_deployment(store, REQUEST._replace(environment="elsewhere"))

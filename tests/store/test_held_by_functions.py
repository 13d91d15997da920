"""What fraiseql-server calls to hold, to resume and to deploy in spite of that."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from fraisier_core.errors import StoreError
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.system.processes import ProcessIdentity

from tests.databases import WITH_FUNCTIONS, Database
from tests.stores import OpenStore

ME = ProcessIdentity.of(os.getpid())
PUSH = Request("web", "production", "deploy", "webhook", "ada", "refs/heads/main", "c" * 40)
HOLD = "fn_hold('web', 'an incident', 'production', '2099-01-31T12:00:00Z')"


@pytest.fixture(params=[WITH_FUNCTIONS])
def database_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(database: Database) -> Iterator[OpenStore]:
    with closing(database.open()) as store:
        store.configure([ConfiguredEnvironment("web", "api", None, None, "production", None, "main")])
        yield store


def answer(store: OpenStore, call: str) -> dict[str, Any]:
    (row,) = store.all(f"SELECT * FROM {call}")
    entity = row["entity"]
    found: dict[str, Any] = json.loads(entity) if isinstance(entity, str) else entity
    return found


def test_the_functions_hold_and_resume(store: OpenStore) -> None:
    made = answer(store, HOLD)
    assert (made["reason"], made["ends_at"]) == ("an incident", "2099-01-31T12:00:00.000000Z")
    held = store.request(PUSH)
    assert store.leased(ME) is None
    (hold,) = store.holds()
    with pytest.raises(StoreError, match=re.escape(f"web production is {hold.text}; nothing is deployed")):
        answer(store, "fn_deploy('web', 'production', NULL, NULL, NULL)")
    assert answer(store, "fn_resume('web', 'production')")["id"] == made["id"]
    lease = store.leased(ME)
    assert lease is not None
    assert lease.deployment_id == held


def test_a_deployment_overrides_the_hold_and_says_which(store: OpenStore) -> None:
    answer(store, "fn_hold('web', 'an incident', NULL, NULL)")
    made = answer(store, "fn_deploy('web', 'production', NULL, NULL, true)")
    assert (made["overridden_hold"], made["obeys_holds"], made["hold"]) == ("an incident", False, None)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (HOLD.replace("2099", "2020"), "is in the past"),
        (HOLD.replace("2099-01-31T12:00:00Z", "soon"), '"soon" is no time'),
        (HOLD.replace("2099-01-31T12:00:00Z", "infinity"), '"infinity" is no time'),
        (HOLD.replace("2099-01-31T12:00:00Z", "tomorrow"), '"tomorrow" is no time'),
        (HOLD.replace("T12:00:00Z", " 12:00"), "is no time with a time zone"),
        (HOLD.replace("2099", "12000"), "is no time"),
        (HOLD.replace("2099-01-31T12:00:00Z", "9999-12-31T23:59-12"), "is no time"),
        (HOLD.replace("2099-01-31", "2099-02-30"), "is no time"),
        (HOLD.replace("an incident", " "), "the reason should be one line"),
        (HOLD.replace("production", "staging"), 'no environment "staging"'),
        (HOLD.replace("'web'", "'shop'").replace("'production'", "NULL"), 'no fraise "shop"'),
        ("fn_resume('web', NULL)", "web is held by no user"),
    ],
)
def test_what_cannot_be_is_refused(store: OpenStore, call: str, problem: str) -> None:
    with pytest.raises(StoreError, match=problem):
        answer(store, call)
    assert store.holds() == []


def test_the_functions_request_what_a_type_of_backups_has(store: OpenStore) -> None:
    for kind in ("backup", "restore_test"):
        place = ConfiguredEnvironment("copies", "backup", None, None, kind, None, None, kinds=(kind,))
        store.configure([place])
        made = answer(store, f"fn_{kind}('copies', '{kind}')")
        assert (made["kind"], made["environment"], made["status"]) == (kind, kind, "pending")
    with pytest.raises(StoreError, match="copies restore_test has no backups: "):
        answer(store, "fn_backup('copies', 'restore_test')")

"""Store that are stored together."""

from __future__ import annotations

import asyncio
import select
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fraisier.inbox import Inbox
from fraisier_core.errors import StoreError
from fraisier_core.store.received import Delivery, Receipt
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.system.host import utc_now

from tests.stores import OpenStore, open_store

from .installation import SECONDS


@pytest.fixture
def database(tmp_path: Path) -> Iterator[OpenStore]:
    database = open_store(tmp_path / "state" / "fraisier.db")
    environment = ConfiguredEnvironment("my_api", "api", None, None, "production", None, "main")
    database.configure([environment])
    yield database
    database.close()


@pytest.fixture
def inbox(database: OpenStore) -> Inbox:
    return Inbox(database)


def delivery(body: str, pusher: str = "author", fraise: str = "my_api") -> Delivery:
    request = Request(fraise, "production", "deploy", "webhook", pusher, "main", "a" * 40)
    return Delivery(
        "github", "push", None, True, body.encode(), utc_now(), ("matches",), (request,), pusher=pusher
    )


def store_together(inbox: Inbox, *deliveries: Delivery) -> list[Receipt | BaseException]:
    async def gather() -> list[Receipt | BaseException]:
        return await asyncio.gather(*map(inbox.store, deliveries), return_exceptions=True)

    return asyncio.run(gather())


@pytest.mark.parametrize("poison", [delivery("2", pusher="\ud800"), delivery("2", fraise="unknown")])
def test_a_delivery_that_cannot_be_stored_does_not_take_the_others_with_it(
    inbox: Inbox, database: OpenStore, poison: Delivery
) -> None:
    first, refused, last = store_together(inbox, delivery("1"), poison, delivery("3"))
    assert isinstance(refused, StoreError)
    assert isinstance(first, Receipt)
    assert isinstance(last, Receipt)
    assert (first.verdict, last.verdict) == ("accepted", "accepted")
    assert len(database.all("SELECT 1 FROM tb_webhook_events")) == 2


def test_no_delivery_waits_for_ever_if_storing_fails_as_it_should_not(inbox: Inbox) -> None:
    impossible: Delivery = None  # type: ignore[assignment]
    outcomes = store_together(inbox, delivery("1"), impossible)
    assert [type(outcome) for outcome in outcomes] == [AttributeError, AttributeError]


def test_the_worker_is_woken_once_a_deployment_waits(inbox: Inbox, database: OpenStore) -> None:
    wake_ups = database.wake_ups()
    try:
        store_together(inbox, delivery("1"))
        assert select.select([wake_ups], [], [], SECONDS)[0] == [wake_ups]
    finally:
        wake_ups.close()


def test_the_loop_goes_on_while_a_large_delivery_waits_for_the_store(
    inbox: Inbox, database: OpenStore, tmp_path: Path
) -> None:
    async def crowd(other: sqlite3.Connection) -> list[str]:
        large = asyncio.create_task(inbox.store(delivery("x" * 3_000_000)))
        await asyncio.sleep(0.2)
        small = asyncio.create_task(inbox.store(delivery("small")))
        refused = asyncio.create_task(database.refuse("github", utc_now(), "198.51.100.7", "guessed"))
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in (large, small, refused))
        other.execute("ROLLBACK")
        await refused
        return [(await task).verdict for task in (large, small)]

    path = tmp_path / "state" / "fraisier.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert asyncio.run(crowd(other)) == ["accepted", "accepted"]

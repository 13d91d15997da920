"""The thread that tells subscribers, without sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fraisier_core import Host, StoreError
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.store.sqlite.sqlite_reader import SqliteReader
from fraisier_graphql.follower import Follower
from fraisier_graphql.subscriptions import Subscription
from fraisier_graphql.topics import Changes, Row

from tests.stores import OpenStore, open_store
from tests.waiting import wait_until

ID = "SELECT json_quote(t.id) AS answer FROM v_deployment_changes AS t WHERE t.position = :position"
STATUS = ID.replace("t.id", "t.status")


class Counting(SqliteReader):
    """A reader that counts the statements which it answers."""

    answered = 0

    def answer(self, sql: str, parameters: Mapping[str, Any]) -> str | None:
        type(self).answered += 1
        return super().answer(sql, parameters)


class Listener:
    """Keeps what it is told."""

    is_ready = True

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.failed = False
        self._told = asyncio.Event()

    def next(self, answers: list[str]) -> None:
        self.heard += answers
        self._told.set()

    def complete(self) -> None:
        raise AssertionError("the changes never end")

    def fail(self) -> None:
        self.failed = True
        self._told.set()

    async def has_heard(self, count: int) -> list[str]:
        async with asyncio.timeout(60):
            while len(self.heard) < count and not self.failed:
                self._told.clear()
                await self._told.wait()
        return self.heard


def subscription(listener: Listener, sql: str = ID, **more: Any) -> Subscription:
    wants: Callable[[Row], bool] = more.pop("wants", lambda _row: True)
    return Subscription(Changes(), sql, more.pop("parameters", {}), "changed", wants, listener, **more)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OpenStore]:
    with closing(open_store(tmp_path / "state" / "store.db")) as store:
        place = ConfiguredEnvironment("api", "api", None, None, "live", None, "main")
        store.configure([place, place._replace(environment="trial")])
        yield store


def change(store: OpenStore, environment: str = "live") -> str:
    return store.request(Request("api", environment, "deploy", "manual", "ada", "refs/heads/main"))


def run(store: OpenStore, path: Path, work: Callable[[Follower], Awaitable[None]]) -> None:
    """Do something with a follower of the store, and end it."""
    assert store

    def open_reader() -> SqliteReader:
        reader = Counting.open(path / "state" / "store.db", Host())
        if reader is None:
            raise StoreError("there is no store")
        return reader

    async def with_follower() -> None:
        follower = Follower(open_reader)
        try:
            await work(follower)
        finally:
            await asyncio.to_thread(follower.close)

    asyncio.run(with_follower())
    wait_until(lambda: "follow" not in {thread.name for thread in threading.enumerate()})


def test_one_statement_answers_all_that_want_the_same(store: OpenStore, tmp_path: Path) -> None:
    async def work(follower: Follower) -> None:
        listeners = [Listener() for _ in range(30)]
        for number, listener in enumerate(listeners):
            await follower.add(subscription(listener, STATUS if number % 3 == 0 else ID))
        Counting.answered = 0
        ids = [change(store) for _ in range(2)]
        for number, listener in enumerate(listeners):
            heard = await listener.has_heard(3)  # the second request supersedes the first
            values = ["pending", "superseded", "pending"] if number % 3 == 0 else [ids[0], ids[0], ids[1]]
            assert heard == [f'{{"data":{{"changed":"{value}"}}}}' for value in values]
        assert Counting.answered == 6

    run(store, tmp_path, work)


def test_nothing_is_asked_for_what_nobody_wants(store: OpenStore, tmp_path: Path) -> None:
    async def work(follower: Follower) -> None:
        trial, live = Listener(), Listener()
        await follower.add(subscription(trial, wants=lambda row: row.environment == "trial"))
        Counting.answered = 0
        for _ in range(3):
            change(store)
        change(store, "trial")
        await trial.has_heard(1)
        assert Counting.answered == 1
        await follower.add(subscription(live, position=0, wants=lambda row: row.environment == "live"))
        assert len(await live.has_heard(5)) == 5

    run(store, tmp_path, work)


def test_the_thread_ends_with_the_last_subscriber_and_begins_again(store: OpenStore, tmp_path: Path) -> None:
    async def work(follower: Follower) -> None:
        for _ in range(3):
            listener = Listener()
            added = subscription(listener)
            await follower.add(added)
            change(store)
            await listener.has_heard(1)
            follower.remove(added)

    run(store, tmp_path, work)


def test_who_subscribes_while_the_store_is_away_is_told_so(store: OpenStore, tmp_path: Path) -> None:
    async def work(follower: Follower) -> None:
        listener = Listener()
        file = tmp_path / "state" / "store.db"
        file.rename(tmp_path / "away.db")
        with pytest.raises(StoreError, match="there is no store"):
            await follower.add(subscription(listener))
        (tmp_path / "away.db").rename(file)
        await follower.add(subscription(listener))
        change(store)
        assert len(await listener.has_heard(1)) == 1

    run(store, tmp_path, work)


def test_a_fault_of_the_thread_leaves_nobody_waiting(
    store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[type[BaseException] | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda found: faults.append(found.exc_type))

    async def work(follower: Follower) -> None:
        listener = Listener()

        def wants(_row: Row) -> bool:
            raise ZeroDivisionError

        await follower.add(subscription(listener, wants=wants))
        change(store)
        await listener.has_heard(1)
        assert listener.failed

    run(store, tmp_path, work)
    assert faults == [ZeroDivisionError]

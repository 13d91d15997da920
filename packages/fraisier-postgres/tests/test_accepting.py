"""Accepting deliveries on PostgreSQL: in one statement, by several web apps, and whatever happens to it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from fraisier_core import DeliveryId, Host, StoreError, UnreachableStoreError
from fraisier_core.store.received import DeliveredRef, Delivery, Receipt
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_postgres.accepting import ANSWER_SECONDS, PATIENCE_SECONDS
from fraisier_postgres.postgres_store import PostgresStore

from tests.postgres import Server, Servers, every_postgres
from tests.postgres_end import processes_of
from tests.postgres_proxy import Moment, Proxy
from tests.waiting import wait_until

T = TypeVar("T")

SECONDS = 60.0
TURNED = {"ours": ("production", "staging"), "theirs": ("staging", "production")}
PLACES = ("production", "staging")
REQUEST = Request("api", "production", "deploy", "webhook", "ada", "refs/heads/main", "c" * 40, "b" * 40)
CONFIGURED = [ConfiguredEnvironment("api", "api", None, None, place, None, None) for place in PLACES]
BLOCKED = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def delivery(identity: str | None, *places: str, body: str = "", pusher: str = "ada") -> Delivery:
    requests = tuple(REQUEST._replace(environment=place) for place in places or PLACES[:1])
    given = DeliveryId(identity, signed=False) if identity else None
    content = (body or f"body of {identity}").encode()
    facts = (
        "acme/api",
        "refs/heads/main",
        "c" * 40,
        "b" * 40,
        pusher,
        ("https://forge.example/acme/api.git",),
    )
    received = "2026-01-31T12:00:00.000000Z"
    return Delivery("forge", "push", given, True, content, received, ("matches",), requests, *facts)


@contextmanager
def opened(url: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore.open(url, Host())) as store:
        store.configure(CONFIGURED)
        yield store


@pytest.fixture
def store(store_url: str) -> Iterator[PostgresStore]:
    with opened(store_url) as store:
        yield store


@pytest.fixture
def other(store: PostgresStore, store_url: str) -> Iterator[PostgresStore]:
    """The store of a second web app."""
    with opened(store_url) as other:
        yield other


@pytest.fixture
def proxy(postgres_servers: Servers, postgres_version: int) -> Iterator[Proxy]:
    with closing(Proxy(postgres_servers(postgres_version).port)) as proxy:
        yield proxy


@pytest.fixture
def behind(store: PostgresStore, store_url: str, proxy: Proxy) -> Iterator[PostgresStore]:
    """The same store, reached through the proxy."""
    database = store_url.rpartition("/")[2].partition("?")[0]
    server = Server(Path(str(psycopg.conninfo.conninfo_to_dict(store_url)["host"])))
    url = server.tcp_url(database).replace(f":{server.port}/", f":{proxy.port}/")
    with opened(url) as behind:
        yield behind


def run(work: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(work, SECONDS)

    return asyncio.run(bounded())


def accept(store: PostgresStore, *deliveries: Delivery) -> list[Receipt | StoreError]:
    return run(store.accept(deliveries))


def verdicts(receipts: Sequence[Receipt | StoreError]) -> list[str]:
    return [each.verdict if isinstance(each, Receipt) else "refused" for each in receipts]


def rows(url: str, sql: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql.encode()).fetchall()


@contextmanager
def held(url: str, *places: str) -> Iterator[psycopg.Connection[Any]]:
    """Hold environments until the block ends."""
    with psycopg.connect(url) as connection:
        for place in places or PLACES:
            sql = "SELECT 1 FROM tb_environments WHERE environment = %s FOR NO KEY UPDATE"
            connection.execute(sql, [place])
        yield connection


@every_postgres
def test_a_batch_is_stored_in_its_order_and_the_newest_waits(store: PostgresStore, store_url: str) -> None:
    batch = [delivery(f"d{number}", *PLACES) for number in range(40)]
    receipts = accept(store, *batch)
    assert verdicts(receipts) == ["accepted"] * 40
    found = rows(store_url, "SELECT delivery_id, id::text FROM tb_webhook_events ORDER BY sequence")
    assert [row[0] for row in found] == [f"d{number}" for number in range(40)]
    assert [row[1] for row in found] == [each.event_id for each in receipts if isinstance(each, Receipt)]
    waiting = (
        "SELECT webhook_event_id::text, environment FROM tb_deployments WHERE status = 'pending' ORDER BY 2"
    )
    assert rows(store_url, waiting) == [(found[-1][1], place) for place in PLACES]
    (first, *_) = receipts
    assert isinstance(first, Receipt)
    assert [(each.environment, each.status) for each in first.deployments] == [
        (place, "pending") for place in PLACES
    ]
    came = (
        "SELECT count(*) FROM tb_deployments AS d JOIN tb_webhook_events AS w ON w.id = d.webhook_event_id "
    )
    assert rows(store_url, came + "WHERE d.newest_delivery <> w.sequence") == [(0,)]


def test_what_a_batch_holds_is_read_as_it_was_delivered(store: PostgresStore) -> None:
    plain = delivery("plain", pusher='a "quoted" \\ name, {in} braces, of\nlines, ä and \U0001f600')
    ignored = delivery("ignored")._replace(requests=(), urls=(), reasons=("no rule", "nor another"))
    unnamed = delivery(None, body="unnamed")
    assert verdicts(accept(store, plain, ignored, unnamed)) == ["accepted", "ignored", "accepted"]
    *_, found = store.details(store.deliveries(3))
    assert (found.delivery.pusher, found.urls, found.pushes[0].before) == (
        plain.pusher,
        plain.urls,
        plain.before_sha,
    )
    assert store.details(store.deliveries(3))[1].reasons == ignored.reasons


@pytest.mark.parametrize(
    "poison",
    [
        delivery("p", pusher="\ud800"),
        delivery("p", "nowhere"),
        delivery("p")._replace(received_at="once"),
        delivery("p")._replace(requests=(REQUEST._replace(kind="unheard"),)),
        delivery("p")._replace(requests=(REQUEST._replace(webhook_event_id="x", trigger="nothing"),)),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_stored_fails_alone(store: PostgresStore, store_url: str, poison: Delivery) -> None:
    receipts = accept(store, delivery("a"), poison, delivery("b"))
    assert verdicts(receipts) == ["accepted", "refused", "accepted"]
    assert rows(store_url, "SELECT delivery_id FROM tb_webhook_events ORDER BY sequence") == [
        ("a",),
        ("b",),
    ]


def test_text_that_postgresql_does_not_have_is_replaced(store: PostgresStore) -> None:
    assert verdicts(accept(store, delivery("a", pusher="a\0b"))) == ["accepted"]
    assert store.deliveries(1)[0].pusher == "a\N{REPLACEMENT CHARACTER}b"


def test_duplicates_conflicts_and_repeats_are_known_in_a_batch_of_new_ones(store: PostgresStore) -> None:
    (first,) = accept(store, delivery("d1"))
    assert isinstance(first, Receipt)
    receipts = accept(
        store,
        delivery("new"),
        delivery("d1"),
        delivery("d1", body="another"),
        delivery("d2", body="body of d1"),
        delivery("new"),
    )
    assert verdicts(receipts) == ["accepted", "duplicate", "conflict", "accepted", "duplicate"]
    known = [each for each in receipts if isinstance(each, Receipt)]
    assert [each.event_id for each in known[1:3]] == [first.event_id] * 2
    assert known[3].repeats == first.event_id
    assert [each.id for each in known[1].deployments] == [each.id for each in first.deployments]


@every_postgres
def test_two_web_apps_that_get_the_same_deliveries_at_once_store_each_once(
    store: PostgresStore, other: PostgresStore, store_url: str
) -> None:
    batch = [delivery(f"d{number}", *PLACES) for number in range(20)]
    turned = [delivery(f"d{number}", *PLACES[::-1]) for number in range(20)]

    async def race() -> tuple[list[Receipt | StoreError], list[Receipt | StoreError]]:
        return await asyncio.gather(store.accept(batch), other.accept(turned))

    ours, theirs = run(race())
    assert sorted(verdicts(ours + theirs)) == ["accepted"] * 20 + ["duplicate"] * 20
    assert rows(store_url, "SELECT count(*) FROM tb_deployments") == [(40,)]


def test_web_apps_that_request_the_same_environments_never_wait_for_each_other_in_a_circle(
    store: PostgresStore, other: PostgresStore, store_url: str
) -> None:
    async def race() -> None:
        for number in range(20):
            ours, theirs = (delivery(f"{who}{number}", *places) for who, places in TURNED.items())
            await asyncio.gather(store.accept([ours]), other.accept([theirs]))

    run(race())
    store.close()
    other.close()
    counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert wait_until(lambda: rows(store_url, f"{counted} AND xact_commit >= 40")) == [(0,)]


def test_what_another_web_app_commits_between_the_look_and_the_insert_is_a_duplicate(
    store: PostgresStore, other: PostgresStore, store_url: str
) -> None:
    accept(store, delivery("known"))
    with psycopg.connect(store_url) as holder:
        holder.execute("SELECT 1 FROM tb_kinds FOR UPDATE")  # which a request needs once its event is there

        async def race() -> tuple[list[Receipt | StoreError], list[Receipt | StoreError]]:
            theirs = asyncio.create_task(other.accept([delivery("d1", "staging")]))
            await until(lambda: rows(store_url, BLOCKED))
            one_by_one = [delivery("known"), delivery("d1", "production")]
            ours = asyncio.create_task(store.accept(one_by_one))
            await until(lambda: len(rows(store_url, BLOCKED)) > 1)
            holder.rollback()
            return await ours, await theirs

        ours, theirs = run(race())
    assert (verdicts(theirs), verdicts(ours)) == (["accepted"], ["duplicate", "duplicate"])


async def until(condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(wait_until, condition)


def test_the_loop_turns_while_postgresql_makes_it_wait_and_what_waits_there_is_cancelled(
    store: PostgresStore, store_url: str
) -> None:
    async def blocked() -> int:
        turns = 0
        with held(store_url):
            task = asyncio.create_task(store.accept([delivery("d1")]))
            while not task.done():
                await asyncio.sleep(0)
                turns += 1
            with pytest.raises(UnreachableStoreError, match="did not answer"):
                await task
            await until(lambda: not rows(store_url, BLOCKED))
        return turns

    assert run(blocked()) > 100
    assert rows(store_url, "SELECT 1 FROM tb_webhook_events") == []
    assert verdicts(accept(store, delivery("d1"))) == ["accepted"]


@pytest.mark.parametrize("place", PLACES)
def test_only_what_requests_an_environment_that_is_held_is_refused(
    store: PostgresStore, store_url: str, place: str
) -> None:
    (free,) = set(PLACES) - {place}
    batch = [delivery("1", free), delivery("2", place), delivery("3", *PLACES), delivery("4", free)]
    with held(store_url, place):
        assert verdicts(accept(store, *batch)) == ["accepted", "refused", "refused", "accepted"]
    first, *refused, last = verdicts(accept(store, *batch))
    assert (first, last) == ("duplicate", "duplicate")
    assert {*refused} <= {"accepted", "duplicate"}, "what was refused may be stored late"
    assert verdicts(accept(store, *batch)) == ["duplicate"] * 4


def test_what_is_stored_one_by_one_waits_no_longer(store: PostgresStore, store_url: str) -> None:
    accept(store, delivery("d1"))
    with held(store_url), pytest.raises(StoreError):
        accept(store, delivery("d1"), delivery("d2"))
    assert verdicts(accept(store, delivery("d1"), delivery("d2"))) == ["duplicate", "accepted"]


def test_a_delivery_of_several_refs_and_a_large_one_are_stored_as_well(store: PostgresStore) -> None:
    second = DeliveredRef("refs/heads/next", "e" * 40, None, ("matches",), (REQUEST,))
    several = delivery("several")._replace(more_refs=(second,))
    large = delivery("large", "staging", body="x" * 3_000_000)
    (one,) = accept(store, several)
    assert isinstance(one, Receipt)
    assert [each.status for each in one.deployments] == ["superseded", "pending"]
    assert verdicts(accept(store, large)) == ["accepted"]


def test_a_delivery_that_has_to_wait_for_two_batches_is_answered_within_two_seconds() -> None:
    assert PATIENCE_SECONDS < ANSWER_SECONDS < 2.0


@pytest.mark.parametrize("silenced", ["before", "meanwhile"])
def test_a_database_that_says_nothing_is_away_and_is_used_again_once_it_answers(
    behind: PostgresStore, proxy: Proxy, silenced: str
) -> None:
    if silenced == "meanwhile":
        accept(behind, delivery("first"))
    proxy.say_nothing()
    for number in range(3):
        with pytest.raises(UnreachableStoreError):
            accept(behind, delivery(f"d{number}"))
    with pytest.raises(UnreachableStoreError):
        run(behind.refuse("forge", "2026-01-31T12:00:00.000000Z", "192.0.2.1", "guessed"))
    proxy.go_on()
    assert verdicts(wait_until(lambda: accept_or_none(behind, delivery("later")))) == ["accepted"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "batch", [[delivery("cut")], [delivery("a"), delivery("cut", *PLACES), delivery("b")]]
)
def test_what_became_of_a_batch_is_looked_up_if_the_connection_is_cut(
    behind: PostgresStore, proxy: Proxy, store_url: str, moment: Moment, batch: list[Delivery]
) -> None:
    accept(behind, delivery("first"))
    proxy.cut('"cut"', moment)
    if moment == "before":
        with pytest.raises(UnreachableStoreError):
            accept(behind, *batch)
        again = wait_until(lambda: accept_or_none(behind, *batch))
        assert verdicts(again) == ["accepted"] * len(batch)
    else:
        receipts = accept(behind, *batch)
        assert verdicts(receipts) == ["accepted"] * len(batch)
        stored = {row[0] for row in rows(store_url, "SELECT id::text FROM tb_webhook_events")}
        assert {each.event_id for each in receipts if isinstance(each, Receipt)} <= stored
        assert verdicts(accept(behind, *batch)) == ["duplicate"] * len(batch)
    assert rows(store_url, "SELECT count(*) FROM tb_webhook_events WHERE verdict = 'accepted'") == [
        (1 + len(batch),)
    ]


def test_what_was_sent_and_is_committed_later_is_not_sent_again(
    behind: PostgresStore, proxy: Proxy, store_url: str
) -> None:
    accept(behind, delivery("first"))

    async def cut_while_it_waits() -> list[Receipt | StoreError]:
        with held(store_url) as holder:
            proxy.cut('"cut"', "after")
            task = asyncio.create_task(behind.accept([delivery("cut")]))
            await until(lambda: rows(store_url, BLOCKED))
            holder.rollback()
            return await task

    assert verdicts(run(cut_while_it_waits())) == ["accepted"]
    assert rows(store_url, "SELECT count(*) FROM tb_webhook_events WHERE delivery_id = 'cut'") == [(1,)]


@pytest.mark.parametrize("ended", ["restart", "kill", "terminate"])
def test_a_connection_that_ended_while_nothing_came_costs_no_delivery(
    postgres_server: Server, ended: str
) -> None:
    with opened(postgres_server.url()) as store:
        accept(store, delivery("first"))
        if ended == "terminate":
            ours = (
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            )
            rows(postgres_server.url(), f"{ours} AND backend_type = 'client backend'")
        elif ended == "restart":
            postgres_server.restart()
        else:
            postgres_server.kill()
            postgres_server.start()
        assert verdicts(accept(store, delivery("d1"))) == ["accepted"]
        assert verdicts(accept(store, delivery("first"))) == ["duplicate"]


def test_a_stopped_postmaster_and_its_stopped_processes_are_away_until_they_go_on(
    postgres_server: Server,
) -> None:
    with opened(postgres_server.url()) as store:
        accept(store, delivery("first"))
        processes = processes_of(postgres_server.folder)
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        for number in range(2):
            with pytest.raises(UnreachableStoreError):
                accept(store, delivery(f"d{number}"))
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
        assert verdicts(wait_until(lambda: accept_or_none(store, delivery("d9")))) == ["accepted"]


def accept_or_none(store: PostgresStore, *deliveries: Delivery) -> list[Receipt | StoreError] | None:
    try:
        return accept(store, *deliveries)
    except UnreachableStoreError:
        return None


def test_what_requests_a_deployment_wakes_the_workers_by_itself(store: PostgresStore) -> None:
    wake_ups = store.wake_ups()
    try:
        wait_until(lambda: is_readable(wake_ups))
        wake_ups.clear()
        accept(store, delivery("d1"))
        wait_until(lambda: is_readable(wake_ups))
    finally:
        wake_ups.close()


def is_readable(handle: Any) -> bool:
    return bool(select.select([handle], [], [], 0)[0])

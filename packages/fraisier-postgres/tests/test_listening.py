"""A worker hears of work on a connection that is opened again however it was lost."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from fraisier_core import Host
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_postgres.listening import CHANNEL, Listener
from fraisier_postgres.postgres_store import PostgresStore

from tests.postgres import Server, every_postgres
from tests.waiting import PATIENCE_SECONDS, wait_until

SHOP = ConfiguredEnvironment("shop", "site", None, None, "live", None, "main")
REQUEST = Request("shop", "live", "deploy", "manual", "ada", "main", "c" * 40)
LISTENING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"


@pytest.fixture
def store(store_url: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore.open(store_url, Host())) as found:
        found.configure([SHOP])
        yield found


@pytest.fixture
def listener(store: PostgresStore) -> Iterator[Listener]:
    with closing(store.wake_ups()) as found:
        await_wake_up(found)  # for what came before
        yield found


def is_woken(listener: Listener, seconds: float = 0) -> bool:
    return bool(select.select([listener], [], [], seconds)[0])


def await_wake_up(listener: Listener) -> None:
    assert is_woken(listener, PATIENCE_SECONDS)
    listener.clear()


def listening(url: str) -> list[int]:
    """Return the server processes that listen."""
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(LISTENING)]


def end(url: str, pid: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])


@every_postgres
def test_a_request_a_cancellation_and_a_call_are_heard_once_they_are_committed(
    store: PostgresStore, listener: Listener
) -> None:
    assert not is_woken(listener)
    (deployment,) = store.request_all([REQUEST])
    await_wake_up(listener)
    store.request_cancel(deployment, "ada")
    await_wake_up(listener)
    store.wake()
    await_wake_up(listener)


def test_what_is_rolled_back_wakes_nobody(store: PostgresStore, listener: Listener, store_url: str) -> None:
    with psycopg.connect(store_url) as connection:
        connection.execute("SELECT wake()")
        connection.rollback()
    with psycopg.connect(store_url) as connection:
        connection.execute("NOTIFY another_channel")
    store.wake()
    await_wake_up(listener)
    assert not is_woken(listener)


@pytest.mark.parametrize("times", [1, 2])
def test_a_connection_that_is_ended_is_opened_again_and_nothing_is_missed(
    store: PostgresStore, listener: Listener, store_url: str, times: int
) -> None:
    for _ in range(times):
        (pid,) = wait_until(lambda: listening(store_url))
        end(store_url, pid)
        store.wake()  # perhaps while nobody listens
        await_wake_up(listener)
        wait_until(lambda gone=pid: gone not in listening(store_url) and listening(store_url))  # type: ignore[misc]
        listener.clear()
        store.wake()
        await_wake_up(listener)


def test_a_server_that_is_restarted_or_killed_is_listened_to_again(postgres_server: Server) -> None:
    with closing(Listener(postgres_server.url())) as listener:
        await_wake_up(listener)
        postgres_server.restart()
        await_wake_up(listener)
        postgres_server.kill()
        postgres_server.start()
        await_wake_up(listener)
        postgres_server.execute(f"NOTIFY {CHANNEL}")
        await_wake_up(listener)


def test_a_listener_ends_though_its_server_is_away(postgres_server: Server) -> None:
    listener = Listener(postgres_server.url())
    await_wake_up(listener)
    postgres_server.stop()
    listener.close()
    Listener(postgres_server.url()).close()


def test_a_listener_connects_as_the_store_does(listener: Listener, store_url: str) -> None:
    with psycopg.connect(store_url) as connection:
        sql = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()"
        names = {row[0] for row in connection.execute(sql)}
    assert names == {"fraisier", ""}

"""A COMMIT without an answer: what it was to commit is recorded once, whatever became of the first try."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from fraisier_core import Host, ProcessIdentity, UnknownOutcomeError
from fraisier_core.store.events import Event
from fraisier_core.store.records import ConfiguredEnvironment, Lease, Request
from fraisier_postgres.postgres_connection import PostgresConnection
from fraisier_postgres.postgres_store import PostgresStore

from tests.postgres import Server
from tests.postgres_proxy import Moment, Proxy
from tests.waiting import wait_until

ME = ProcessIdentity.of(os.getpid())
SHOP = ConfiguredEnvironment("shop", "site", None, None, "live", None, None)
REQUEST = Request("shop", "live", "deploy", "manual", "ada", "main", "c" * 40)
EVENTS = "SELECT event FROM tb_deployment_events ORDER BY sequence"
AWAITS_STANDBY = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
BEFORE = ["requested", "claimed", "step_started"]
STEP = Event("step_started", step="fetch", step_number=1, repeatable=True)


def rows(url: str, sql: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(sql.encode())]


@pytest.fixture
def url(postgres_server: Server) -> str:
    """The address of a database on a server that can be killed."""
    return postgres_server.url(postgres_server.create())


@pytest.fixture
def proxy(postgres_server: Server) -> Iterator[Proxy]:
    with closing(Proxy(postgres_server.port)) as proxy:
        yield proxy
        proxy.go_on()


@pytest.fixture
def behind(postgres_server: Server, url: str, proxy: Proxy) -> Iterator[PostgresStore]:
    """A store that insists, behind the proxy."""
    address = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    there = postgres_server.tcp_url(address).replace(f":{postgres_server.port}/", f":{proxy.port}/")
    with closing(PostgresStore.open(there, Host())) as store:
        store.insist()
        yield store


@pytest.fixture
def lease(url: str) -> Lease:
    """The lease of a deployment that runs."""
    with closing(PostgresStore.open(url, Host())) as store:
        store.configure([SHOP])
        store.request_all([REQUEST])
        claimed = store.claim(ME)
        assert claimed
        store.append(claimed.lease, STEP)
        return claimed.lease


@contextmanager
def no_standby(server: Server) -> Iterator[None]:
    """Have every COMMIT wait for a standby that is away."""
    server.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
    server.execute("SELECT pg_reload_conf()")
    wait_until(lambda: rows(server.url(), "SHOW synchronous_standby_names") == ["away"])
    try:
        yield
    finally:
        server.execute("ALTER SYSTEM RESET synchronous_standby_names")
        server.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("others", [0, 5])
def test_after_a_crash_no_other_transaction_is_taken_for_the_lost_one(
    postgres_server: Server, url: str, proxy: Proxy, behind: PostgresStore, lease: Lease, others: int
) -> None:
    postgres_server.execute("CHECKPOINT")
    with ThreadPoolExecutor(1) as thread:
        proxy.hold("COMMIT")
        appended = thread.submit(behind.append, lease, Event("activation_started"))
        assert proxy.was_held.wait(20)
        postgres_server.kill()
        postgres_server.start()
        with closing(PostgresStore.open(url, Host())) as other:
            for _ in range(others):
                other.heartbeat(ME)
        proxy.go_on()
        appended.result()
    assert rows(url, EVENTS) == [*BEFORE, "activation_started"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("last", ["success", "rollback_started"])
def test_what_a_connection_that_is_cut_was_to_commit_is_recorded_once(
    url: str, proxy: Proxy, behind: PostgresStore, lease: Lease, moment: Moment, last: Any
) -> None:
    proxy.cut("COMMIT", moment)
    behind.append(lease, Event(last))
    assert rows(url, EVENTS) == [*BEFORE, last]
    assert rows(url, "SELECT count(*) FROM tb_leases") == [last != "success"]


def test_a_commit_that_waits_for_a_standby_is_waited_for(
    postgres_server: Server, url: str, behind: PostgresStore, lease: Lease
) -> None:
    with ThreadPoolExecutor(1) as thread:
        with no_standby(postgres_server):
            appended = thread.submit(behind.append, lease, Event("activation_started"))
            wait_until(lambda: rows(url, AWAITS_STANDBY))
            behind._connection.abort()
            wait_until(lambda: rows(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
        appended.result()
    assert rows(url, EVENTS) == [*BEFORE, "activation_started"]


def test_whoever_does_not_insist_is_told_that_the_outcome_is_unknown(
    postgres_server: Server, url: str
) -> None:
    PostgresStore.open(url, Host()).close()
    adding = "INSERT INTO tb_refused_deliveries (id, provider, received_at, client, reason)"
    with (
        ThreadPoolExecutor(1) as thread,
        no_standby(postgres_server),
        closing(PostgresConnection(url, lock_seconds=0.2)) as connection,
    ):
        values = "VALUES (gen_random_uuid(), 'forge', now(), '::1', 'late')"
        added = thread.submit(connection.transact, lambda: connection.execute(f"{adding} {values}"))
        wait_until(lambda: rows(url, AWAITS_STANDBY))
        connection.abort()
        with pytest.raises(UnknownOutcomeError):
            added.result()
    wait_until(lambda: rows(url, "SELECT count(*) FROM tb_refused_deliveries") == [1])


def test_a_client_is_forgotten_a_week_after_its_last_change(url: str) -> None:
    PostgresStore.open(url, Host()).close()
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO tb_last_changes"
            " SELECT gen_random_uuid(), gen_random_uuid(), now() - days * interval '1 day'"
            " FROM generate_series(1, 10) AS given (days)"
        )
    with closing(PostgresStore.open(url, Host())) as store:
        store.insist()
        store.configure([SHOP])
        store.configure([SHOP])
    assert rows(url, "SELECT count(*) FROM tb_last_changes") == [6 + 1]


def test_whoever_insists_waits_until_a_server_accepts_changes_and_says_so_once(
    postgres_server: Server, url: str, lease: Lease, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        ThreadPoolExecutor(1) as thread,
        closing(PostgresStore.open(url, Host())) as store,
        psycopg.connect(url, autocommit=True) as failing_over,
    ):
        store.insist()
        database = failing_over.info.dbname
        change = f"ALTER DATABASE {database} {{}} default_transaction_read_only"
        failing_over.execute((change.format("SET") + " = on").encode())
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        failing_over.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}".encode()
        )
        appended = thread.submit(store.append, lease, Event("success"))
        wait_until(lambda: caplog.messages)
        failing_over.execute(change.format("RESET").encode())
        appended.result()
    assert ["waiting until it is back" in each for each in caplog.messages] == [True]
    assert rows(url, EVENTS) == [*BEFORE, "success"]

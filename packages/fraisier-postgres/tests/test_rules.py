"""What the database itself guarantees for every writer, whoever writes and however many at once."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.postgres import Server, Servers, every_postgres
from tests.postgres_sql import NOON, append, claim, configure, request, run, set_up
from tests.waiting import wait_until

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
ID = "0196f0a1-b2c3-7000-8000-000000000001"


@pytest.fixture
def connect(store_url: str) -> Iterator[Connect]:
    """Opens connections to a store with two environments of one fraise."""
    with ExitStack() as opened:

        def another() -> Connection:
            return opened.enter_context(
                psycopg.connect(store_url, autocommit=True, options="-c lock_timeout=20s")
            )

        first = another()
        set_up(first)
        configure(first, ("shop", "live"), ("shop", "trial"))
        yield another


@pytest.fixture
def store(connect: Connect) -> Connection:
    """A connection to the store."""
    return connect()


def status_of(connection: Connection, deployment_id: str) -> str:
    """Return the status of a deployment."""
    ((status,),) = connection.execute("SELECT status FROM tb_deployments WHERE id = %s", [deployment_id])
    return str(status)


def refused(connection: Connection, message: str, sql: str, *values: Any) -> None:
    """Assert that the database refuses this as a violation of its rules."""
    with pytest.raises(psycopg.IntegrityError, match=message):
        connection.execute(sql.encode(), values)


def claim_next(connection: Connection, **changes: Any) -> UUID | None:
    """Claim what can be, and return its id."""
    holder = {"host": "barn", "boot_id": "boot", "pid": 1, "pid_started": 1, "seconds": 60, "at": NOON}
    found = run(connection, "claim", **holder | {"known": "0001", "durable": False} | changes)
    names = [column.name for column in found.description or ()]
    (row,) = (dict(zip(names, values, strict=True)) for values in found)
    assert (row["id"] is None) is (row["attempt"] is None) is (row["token"] is None)
    return None if row["id"] is None else UUID(str(row["id"]))


def wait_until_blocked(watching: Connection, waiting: Connection) -> None:
    """Wait until a connection waits for a lock."""
    query = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
    wait_until(lambda: watching.execute(query, [waiting.info.backend_pid]).fetchone() == (True,))


@every_postgres
@pytest.mark.parametrize("table", ["tb_deployment_events", "tb_webhook_events", "tb_webhook_refs"])
def test_what_was_appended_stays(store: Connection, table: str) -> None:
    request(store, "shop", "live")
    only = f"{table} is append-only"
    refused(store, only, f"DELETE FROM {table}")
    refused(store, only, f"TRUNCATE {table}")
    refused(store, only, f"UPDATE {table} SET sequence = sequence")
    refused(store, only, f"MERGE INTO {table} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE")


def test_an_event_is_not_replaced(store: Connection) -> None:
    deployment = request(store, "shop", "live")
    again = "INSERT INTO tb_deployment_events (deployment_id, number, event, at) VALUES (%s, 1, %s, now())"
    upsert = f"{again} ON CONFLICT (deployment_id, number) DO UPDATE SET event = 'success'"
    refused(store, "append-only", upsert, deployment, "cancel_requested")
    store.execute(again.encode(), [deployment, "cancel_requested"])
    events = store.execute("SELECT number, event FROM tb_deployment_events ORDER BY sequence").fetchall()
    assert events == [(1, "requested"), (2, "cancel_requested")]


@pytest.mark.parametrize("given", [0, -1, 7, 2**31 - 1])
def test_numbers_that_a_writer_gives_are_not_taken(store: Connection, given: int) -> None:
    requested = str(uuid4())
    store.execute(
        "INSERT INTO tb_deployment_events"
        " (sequence, deployment_id, number, event, at, fraise_id, environment, kind, trigger)"
        " VALUES (%s, %s, %s, 'requested', now(), 'shop', 'live', 'deploy', 'manual')",
        [given, requested, given],
    )
    assert str(claim_next(store)) == requested
    numbers = store.execute("SELECT sequence, number FROM tb_deployment_events ORDER BY sequence").fetchall()
    assert numbers == [(1, 1), (2, 2)]


def test_a_token_is_random(store: Connection) -> None:
    tokens = [row[0] for row in store.execute("SELECT random_token() FROM generate_series(1, 1000)")]
    assert len(set(tokens)) == 1000
    assert all(0 < token < 2**62 for token in tokens)
    assert max(tokens) > 2**60


@pytest.mark.parametrize("length", [3_000, 50_000])
def test_the_name_of_a_branch_may_be_long(store: Connection, length: int) -> None:
    name = "refs/heads/" + "".join(
        random.Random(length).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length)
    )
    for head in ("b" * 40, "c" * 40):
        for ref in (name, f"{name}x"):
            row = {"fraise_id": "shop", "environment": "live", "ref": ref, "head": head, "seen_at": NOON}
            run(store, "record_branch_head", **row)
    found = run(store, "branch_heads", fraise_id="shop", environment="live").fetchall()
    assert [(row[2], row[3]) for row in found] == [(name, "c" * 40), (f"{name}x", "c" * 40)]


@pytest.mark.parametrize("what_others_do", ["cancel_requested", "claimed"])
def test_a_claim_looks_again_if_what_it_found_was_taken_meanwhile(
    connect: Connect, what_others_do: str
) -> None:
    one, claiming, watching = connect(), connect(), connect()
    first, second = (request(one, "shop", each) for each in ("live", "trial"))
    with ThreadPoolExecutor(1) as pool:
        with one.transaction():
            one.execute("LOCK TABLE tb_environments IN ACCESS EXCLUSIVE MODE")
            claimed = pool.submit(claim_next, claiming)
            wait_until_blocked(watching, claiming)
            if what_others_do == "claimed":
                claim(one, first)
            else:
                append(one, first, what_others_do)
        assert str(claimed.result()) == second


@pytest.mark.parametrize("event", ["step_started", "success", "claimed", "serving"])
def test_without_the_lease_nothing_is_appended(store: Connection, event: str) -> None:
    deployment = request(store, "shop", "live")
    token = claim(store, deployment)
    for wrong in ({}, {"token": token + 1}, {"token": token, "host": "loft"}):
        with pytest.raises(psycopg.IntegrityError, match="fenced"):
            append(store, deployment, event, **wrong)
    with pytest.raises(psycopg.IntegrityError, match="fenced"):
        append(store, str(uuid4()), event, token=token)


def test_a_running_deployment_is_not_superseded_without_its_lease(store: Connection) -> None:
    deployment = request(store, "shop", "live")
    claim(store, deployment)
    with pytest.raises(psycopg.IntegrityError, match="fenced"):
        append(store, deployment, "superseded")


def test_nothing_is_appended_to_what_has_ended(store: Connection) -> None:
    deployment = request(store, "shop", "live")
    append(store, deployment, "cancel_requested")
    with pytest.raises(psycopg.IntegrityError, match="has ended"):
        append(store, deployment, "cancel_requested")


@pytest.mark.parametrize("column", ["kind", "environment", "fraise_id", "trigger"])
def test_a_request_of_something_unknown_is_refused(store: Connection, column: str) -> None:
    for unknown in ("moon", None):
        row: dict[str, Any] = {"fraise_id": "shop", "environment": "live"} | {column: unknown}
        with pytest.raises(psycopg.IntegrityError):
            request(store, **row)
    assert store.execute("SELECT 1 FROM tb_deployment_events").fetchall() == []


@every_postgres
def test_of_several_requests_in_one_statement_the_last_waits(store: Connection) -> None:
    ids = [str(uuid4()) for _ in range(4)]
    store.execute(
        "INSERT INTO tb_deployment_events"
        " (deployment_id, event, at, fraise_id, environment, kind, trigger)"
        " SELECT id, 'requested', now(), 'shop', 'live', 'deploy', 'webhook'"
        " FROM unnest(CAST(%s AS uuid[])) WITH ORDINALITY AS given (id, place) ORDER BY place",
        [ids],
    )
    assert [status_of(store, each) for each in ids] == ["superseded"] * 3 + ["pending"]
    events = store.execute("SELECT event FROM tb_deployment_events ORDER BY sequence").fetchall()
    assert [each for (each,) in events] == ["requested"] + ["superseded", "requested"] * 3


@every_postgres
def test_two_requests_at_once_leave_one_that_waits(connect: Connect) -> None:
    one, other, watching = connect(), connect(), connect()
    with ThreadPoolExecutor(1) as pool:
        with one.transaction():
            first = request(one, "shop", "live")
            requested = pool.submit(request, other, "shop", "live")
            wait_until_blocked(watching, other)
            request(watching, "shop", "trial")  # another environment is free
        assert status_of(watching, requested.result()) == "pending"
    assert status_of(watching, first) == "superseded"


@every_postgres
def test_a_cancellation_that_waited_sees_that_the_deployment_ended(connect: Connect) -> None:
    one, other, watching = connect(), connect(), connect()
    deployment = request(one, "shop", "live")
    token = claim(one, deployment)
    with ThreadPoolExecutor(1) as pool:
        with one.transaction():
            append(one, deployment, "success", token=token)
            cancelled = pool.submit(append, other, deployment, "cancel_requested")
            wait_until_blocked(watching, other)
        assert "has ended" in str(cancelled.exception())


def test_a_lease_is_not_taken_over_while_its_holder_appends(connect: Connect) -> None:
    holder, keeper, watching = connect(), connect(), connect()
    deployment = request(holder, "shop", "live")
    token = claim(holder, deployment)
    with ThreadPoolExecutor(1) as pool:
        with holder.transaction():
            append(holder, deployment, "activation_started", token=token)
            run(keeper, "renew_lease", token=token, seconds=60)  # which does not wait
            dropped = pool.submit(run, keeper, "drop_lease", token=token)
            wait_until_blocked(watching, keeper)
        assert dropped.result().rowcount == 1
    with pytest.raises(psycopg.IntegrityError, match="fenced"):
        append(holder, deployment, "success", token=token)


@every_postgres
def test_two_workers_claim_two_environments_and_neither_waits(connect: Connect) -> None:
    one, other, third = connect(), connect(), connect()
    ids = {request(one, "shop", each) for each in ("live", "trial")}
    with one.transaction(), other.transaction():
        assert {str(claim_next(worker)) for worker in (one, other)} == ids
        assert claim_next(third) is None
    assert claim_next(third) is None


def test_what_is_urgent_is_claimed_first_and_excludes_what_is_of_its_lane(store: Connection) -> None:
    rollback, deploy = (request(store, "shop", "live", kind=kind) for kind in ("rollback", "deploy"))
    store.execute("INSERT INTO tb_migrations VALUES ('0009_later.sql', 'c')")
    assert claim_next(store) is None
    assert str(claim_next(store, known="0009_later.sql")) == rollback
    store.execute("DELETE FROM tb_migrations")
    assert claim_next(store) is None
    assert claim_next(store, id=deploy) is None


def test_leases_and_workers_live_by_the_clock_of_the_database(store: Connection) -> None:
    late, good = request(store, "shop", "live"), request(store, "shop", "trial")
    claim(store, late, seconds=-1)
    claim(store, good, seconds=60)
    run(store, "heartbeat", host="barn", pid=1, pid_started=1, boot_id="boot")
    assert run(store, "live_workers", boot_id="boot", seconds=30).fetchall() == [(1,)]
    assert run(store, "live_workers", boot_id="boot", seconds=-1).fetchall() == [(0,)]
    wait_until(lambda: expired(store, 0.1) == {late})
    assert expired(store, 1e6) == set()  # the database has not been up for so long


def expired(connection: Connection, seconds: float) -> set[str]:
    """Return the deployments whose leases have expired."""
    cursor = run(connection, "leases", host="barn", seconds=seconds)
    names = [column.name for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return {str(row["deployment_id"]) for row in rows if row["expired"]}


@every_postgres
def test_plain_sql_wakes_the_workers(connect: Connect) -> None:
    writer, worker = connect(), connect()
    worker.execute("LISTEN fraisier_wake")
    deployment = request(writer, "shop", "live")
    append(writer, deployment, "cancel_requested")
    run(writer, "wake")
    assert len(list(worker.notifies(timeout=60, stop_after=3))) == 3


def test_of_refused_deliveries_the_newest_thousand_stay(store: Connection) -> None:
    store.execute(
        "INSERT INTO tb_refused_deliveries (id, provider, received_at, client, reason)"
        " SELECT gen_random_uuid(), 'gitea', now(), '::1', 'late' FROM generate_series(1, 1003)"
    )
    assert store.execute("SELECT count(*), min(sequence) FROM tb_refused_deliveries").fetchone() == (1000, 4)


@pytest.mark.parametrize("prefix", ["0", "0196f0a1-", "0196f0a1-b2", "0196f0a1b2", ID, ID.replace("-", "")])
def test_an_id_is_found_by_how_it_begins(store: Connection, prefix: str) -> None:
    assert found(store, prefix) == [ID, ID]


@pytest.mark.parametrize("prefix", ["01-96", "0196f0a2", f"{ID}-", f"{ID}0", f"{ID.replace('-', '')}0"])
def test_an_id_is_not_found_by_what_it_does_not_begin_with(store: Connection, prefix: str) -> None:
    assert found(store, prefix) == []


def found(store: Connection, prefix: str) -> list[str]:
    """Return the deployments and deliveries that are found."""
    request(store, "shop", "live", deployment_id=ID)
    run(store, "insert_refused", id=ID, provider="gitea", received_at=NOON, client="::1", reason="late")
    rows = [
        run(store, f"{what}_by_prefix", prefix=prefix).fetchall() for what in ("deployments", "deliveries")
    ]
    return [str(id_) for each in rows for (id_,) in each]


def test_names_are_sorted_by_their_bytes_in_every_locale(postgres_servers: Servers) -> None:
    server = postgres_servers(15)  # the others are built without ICU
    name = f"test_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'")
    try:
        with psycopg.connect(server.url(name), autocommit=True) as store:
            set_up(store)
            configure(store, *((each, "live") for each in ("Zoo", "ähre", "apfel", "a-z", "a_b")))
            names = [row[0] for row in run(store, "status")]
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert names == sorted(names, key=str.encode)


def test_a_restart_of_the_database_gives_holders_time_to_renew(postgres_server: Server) -> None:
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        set_up(connection)
        configure(connection, ("shop", "live"))
        deployment = request(connection, "shop", "live")
        claim(connection, deployment, seconds=0.01)
        wait_until(lambda: expired(connection, 0.01) == {deployment})
    postgres_server.restart()
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        assert expired(connection, 600) == set()
        assert expired(connection, 0.001) == {deployment}


@every_postgres
def test_a_crash_of_one_server_process_gives_holders_time_to_renew(postgres_server: Server) -> None:
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        set_up(connection)
        configure(connection, ("shop", "live"))
        deployment = request(connection, "shop", "live")
        claim(connection, deployment, seconds=0.01)
        wait_until(lambda: expired(connection, 0.01) == {deployment})
        started = uptime(connection)
        with psycopg.connect(postgres_server.url(), autocommit=True) as other:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            wait_until(lambda: has_ended(other))
    wait_until(lambda: accepts_connections(postgres_server))
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        assert expired(connection, uptime(connection) - 1e-6) == set()
        assert uptime(connection) > started
        wait_until(lambda: expired(connection, 0.001) == {deployment})


def uptime(connection: Connection) -> float:
    """Return for how many seconds the server has run."""
    ((seconds,),) = connection.execute(
        "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())"
    )
    return float(seconds)


def has_ended(connection: Connection) -> bool:
    """Return whether the server has ended a connection."""
    with suppress(psycopg.OperationalError):
        connection.execute("SELECT 1")
    return connection.closed


def accepts_connections(server: Server) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(server.url()):
        return True
    return False

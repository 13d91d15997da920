"""Each role may do what its part of Fraisier does, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.postgres import every_postgres
from tests.postgres_sql import NOON, SQL, append, claim, configure, request, run, set_up

Connection = psycopg.Connection[Any]
LogIn = Callable[[str], Connection]

READER = (
    *("status", "history", "history_of_fraise", "history_of_environment", "history_of_kind", "deployment"),
    *("deployments_by_prefix", "deployments_by_pattern", "steps", "log", "running", "events", "serving"),
    *("events_of_deployment", "healthy_releases", "deliveries", "deliveries_by_prefix", "delivery"),
    *("delivered", "deliveries_by_pattern", "delivered_refs", "deployments_of_deliveries", "newer_than"),
    *("live_workers", "branch_heads", "last_of_refs", "last_of_commits", "leases", "observed", "last_event"),
    *("changes", "output_after"),
)
WORKER = (
    *("forget_fraises", "forget_environments", "lock_environment_of", "known_kinds"),
    *("held_lease", "renew_lease", "record_command", "drop_lease", "is_last"),
    *("waiting_instead", "pushed_commits", "requested_since", "left_since", "log_cut", "carry_dropped"),
    *("trim_log", "forget_worker", "newest_migration", "prove_writable", "cancellation", "wake"),
    *("previously_active", "forget_branch_heads", "payloads", "logs", "refused"),
    *("delete_payloads", "delete_logs", "delete_refused"),
)
RECEIVER = (
    *("forget_fraises", "forget_environments", "known_kinds", "same_delivery"),
    *("same_body", "deployments_of_event", "live_workers", "prove_writable", "wake"),
)
TABLES = (
    *("tb_deployment_events", "tb_webhook_events", "tb_webhook_refs", "tb_webhook_payloads"),
    *("tb_deployments", "tb_attempts", "tb_steps", "tb_serving", "tb_kinds", "tb_refused_deliveries"),
    *("tb_tokens", "tb_audit_events"),
)
VIEWS = (
    *("v_fraises", "v_fraise_status", "v_deployment_history", "v_deployment_stats", "v_webhook_events"),
    "v_webhook_refs",
)
LET_GO = {("worker", "tb_webhook_payloads"), ("worker", "tb_refused_deliveries")}
DELIVERY = {
    "provider": "gitea",
    "event_type": "push",
    "body_sha256": "0" * 64,
    "urls": "[]",
    "reasons": "[]",
    "received_at": NOON,
    "verdict": "accepted",
    "body": b"{}",
}


@pytest.fixture
def owner(store_url: str) -> Iterator[Connection]:
    """The owner of a store with roles."""
    with psycopg.connect(store_url, autocommit=True) as connection:
        set_up(connection)
        configure(connection, ("shop", "live"))
        for _ in range(2):  # it may be run again
            connection.execute((SQL / "roles.sql").read_bytes())
        yield connection


@pytest.fixture
def log_in(owner: Connection, store_url: str) -> Iterator[LogIn]:
    """Connects as a new user who has one role."""
    with ExitStack() as at_end:

        def connect(role: str) -> Connection:
            user = f"user_{uuid4().hex}"
            owner.execute(f"CREATE ROLE {user} LOGIN IN ROLE {role}".encode())
            at_end.callback(lambda: owner.execute(f"DROP ROLE {user}".encode()))
            return at_end.enter_context(psycopg.connect(store_url, user=user, autocommit=True))

        yield connect


def refused(connection: Connection, sql: str) -> None:
    """Assert that a role may not do this."""
    with pytest.raises(InsufficientPrivilege):
        connection.execute(sql.encode())


@every_postgres
def test_the_receiver_accepts_and_requests(log_in: LogIn) -> None:
    receiver = log_in("fraisier_receiver")
    for statement in RECEIVER:
        run(receiver, statement, seconds=1, fraise_ids=["shop"], environments=["live"])
    configure(receiver, ("shop", "live"), ("stall", "live"))
    id_ = str(uuid4())
    with receiver.transaction():
        run(receiver, "insert_event", **DELIVERY, id=id_)
        run(receiver, "insert_ref", webhook_event_id=id_, number=2, ref="refs/heads/b", reasons="[]")
        run(receiver, "insert_payload", id=id_, body=b"{}")
        for _ in range(2):
            request(receiver, "shop", "live", webhook_event_id=id_)
    found = run(receiver, "deployments_of_event", webhook_event_id=id_).fetchall()
    assert [row[3] for row in found] == ["superseded", "pending"]
    run(receiver, "insert_refused", id=id_, provider="gitea", received_at=NOON, client="::1", reason="late")


def test_the_receiver_can_neither_read_bodies_nor_run_or_change_anything(log_in: LogIn) -> None:
    receiver = log_in("fraisier_receiver")
    deployment = request(receiver, "shop", "live")
    for table in ("tb_webhook_payloads", "tb_deployment_events", "tb_deployment_logs", "tb_leases"):
        refused(receiver, f"SELECT * FROM {table}")
    refused(receiver, "INSERT INTO tb_leases DEFAULT VALUES")
    refused(receiver, "INSERT INTO tb_deployment_events (token) VALUES (1)")
    refused(receiver, "INSERT INTO tb_deployment_events (sequence) VALUES (1)")
    refused(receiver, "INSERT INTO tb_deployment_events (number) VALUES (1)")
    refused(receiver, "UPDATE tb_workers SET host = 'other'")
    refused(receiver, "UPDATE tb_last_changes SET change = client")
    for event in ("success", "cancel_requested", "superseded"):
        values = f"VALUES ('{deployment}', '{event}', now())"
        refused(receiver, f"INSERT INTO tb_deployment_events (deployment_id, event, at) {values}")


RESTORED = {
    "at": NOON,
    "actor": "ada",
    "action": "restore",
    "subject": "shop production",
    "detail": "one into two",
    "occurrences": 1,
}


@every_postgres
def test_the_worker_runs_a_deployment(log_in: LogIn) -> None:
    worker = log_in("fraisier_worker")
    configure(worker, ("shop", "live"))
    deployment = request(worker, "shop", "live")
    worker_row = {"host": "barn", "pid": 1, "pid_started": 1, "boot_id": "boot"}
    run(worker, "heartbeat", **worker_row)
    token = claim(worker, deployment)
    append(worker, deployment, "step_started", token=token, step="build", step_number=1)
    log = {"deployment_id": deployment, "host": "barn", "attempt": 1, "step_number": 1, "dropped": 0}
    run(worker, "append_log", **log, at=NOON, text="built")
    append(worker, deployment, "serving", token=token, release="r1")
    append(worker, deployment, "success", token=token)
    run(worker, "audit", **RESTORED)
    run(worker, "observe", name="ntfy", sequence=1, attempts=0)
    place = {"fraise_id": "shop", "environment": "live"}
    run(worker, "record_branch_head", **place, ref="refs/heads/main", seen_at=NOON)
    for statement in (*READER, *WORKER):
        run(worker, statement, limit=9, after=0, seconds=1, fraise_ids=[], environments=[], commits="[]")


@every_postgres
def test_the_reader_reads_all_but_the_bodies(owner: Connection, log_in: LogIn) -> None:
    reader = log_in("fraisier_reader")
    request(owner, "shop", "live")
    for statement in READER:
        run(reader, statement, limit=9, after=0, seconds=1, commits="[]")
    assert len(run(reader, "events", after=0, limit=9).fetchall()) == 1
    refused(reader, "SELECT body FROM tb_webhook_payloads")
    refused(reader, "SELECT 1 FROM tb_environments FOR NO KEY UPDATE")
    for table in (*TABLES, "tb_environments", "tb_leases", "tb_workers", "tb_observers", "tb_branch_heads"):
        refused(reader, f"INSERT INTO {table} DEFAULT VALUES")


@every_postgres
def test_only_the_owner_makes_tokens_and_the_web_app_looks_them_up(owner: Connection, log_in: LogIn) -> None:
    own = {"id": str(uuid4()), "name": "ci", "prefix": "frs_12345678", "sha256": "0" * 64, "level": "read"}
    run(owner, "insert_token", **own, created_at=NOON, created_by="ada")
    receiver, worker, reader = (log_in(f"fraisier_{role}") for role in ("receiver", "worker", "reader"))
    for user in (receiver, reader):
        assert run(user, "token_by_prefix", prefix="frs_12345678").fetchone() is not None
        assert len(run(user, "tokens").fetchall()) == 1
    audited = {"at": NOON, "action": "forbidden", "detail": "", "occurrences": 1}
    for user in (receiver, worker):
        run(user, "audit", **audited)
    assert len(run(reader, "audit_events", limit=9).fetchall()) == 2
    for user in (receiver, worker, reader, log_in("fraisier_graphql")):
        refused(user, "UPDATE tb_tokens SET revoked_at = now()")
        refused(user, "INSERT INTO tb_tokens DEFAULT VALUES")
    refused(reader, "INSERT INTO tb_audit_events DEFAULT VALUES")
    refused(worker, "SELECT sha256 FROM tb_tokens")
    for table in ("tb_tokens", "tb_audit_events", "v_audit_events"):
        refused(log_in("fraisier_graphql"), f"SELECT * FROM {table}")


def test_what_is_published_are_the_views(owner: Connection, log_in: LogIn) -> None:
    graphql = log_in("fraisier_graphql")
    request(owner, "shop", "live")
    run(graphql, "status", limit=9)
    for view in VIEWS:
        graphql.execute(f"SELECT * FROM {view}".encode())
    for table in (*TABLES, "tb_environments", "tb_deployment_logs", "tb_leases"):
        refused(graphql, f"SELECT * FROM {table}")


@pytest.mark.parametrize("role", ["receiver", "worker", "reader", "graphql"])
def test_nobody_changes_or_deletes_what_was_appended_or_folded(log_in: LogIn, role: str) -> None:
    user = log_in(f"fraisier_{role}")
    for table in TABLES:
        if (role, table) not in LET_GO:
            refused(user, f"DELETE FROM {table}")
        refused(user, f"TRUNCATE {table}")
        column = {"tb_kinds": "name", "tb_refused_deliveries": "id", "tb_tokens": "revoked_at"}.get(
            table, "sequence"
        )
        if table not in {"tb_attempts", "tb_steps", "tb_serving"}:
            refused(user, f"UPDATE {table} SET {column} = {column}")
    refused(user, "SELECT setval('deployment_event_sequence', 1)")
    refused(user, "ALTER TABLE tb_deployment_events DISABLE TRIGGER ALL")
    refused(user, "CREATE TRIGGER mine AFTER INSERT ON tb_fraises EXECUTE FUNCTION append_only()")


@pytest.mark.parametrize("role", ["receiver", "worker", "reader", "graphql"])
def test_only_the_owner_makes_what_is_in_the_schema(owner: Connection, log_in: LogIn, role: str) -> None:
    owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")  # as before PostgreSQL 15
    owner.execute((SQL / "roles.sql").read_bytes())
    refused(log_in(f"fraisier_{role}"), "CREATE TABLE mine (number integer)")


def test_a_table_of_ones_own_cannot_borrow_what_the_owner_may_do(log_in: LogIn) -> None:
    user = log_in("fraisier_graphql")
    user.execute("CREATE TEMPORARY TABLE mine (sequence bigint)")
    for function in ("forget_refused_deliveries", "append_deployment_event"):
        refused(user, f"CREATE TRIGGER mine BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION {function}()")
    user.execute("DISCARD TEMP")


def test_a_function_of_ones_own_is_not_run_as_the_owner(owner: Connection, log_in: LogIn) -> None:
    receiver = log_in("fraisier_receiver")
    receiver.execute(
        "CREATE FUNCTION pg_temp.fold(event tb_deployment_events) RETURNS void"
        " LANGUAGE sql AS 'SELECT CAST(NULL AS void)'"
    )
    receiver.execute("CREATE TEMPORARY TABLE tb_kinds (name text)")
    request(receiver, "shop", "live")
    receiver.execute("DISCARD TEMP")
    assert len(run(owner, "history", limit=9).fetchall()) == 1

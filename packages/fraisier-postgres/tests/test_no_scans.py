"""With much recorded, nothing that Fraisier does at each push or command reads a whole table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.postgres import USUAL, Servers
from tests.postgres_sql import configure, run, set_up, statements

Connection = psycopg.Connection[Any]
DEPLOYMENTS = 100_000
LARGE = ("tb_deployments", "tb_deployment_events", "tb_webhook_events")

_ID = "CAST(lpad(to_hex(i), 32, '0') AS uuid)"
_WHERE = "'f' || i % 50, 'live'"
FILL = f"""
ALTER TABLE tb_deployment_events DISABLE TRIGGER USER;
INSERT INTO tb_deployment_events (sequence, deployment_id, number, event, at, fraise_id, environment)
SELECT nextval('deployment_event_sequence'), {_ID}, n, CASE n WHEN 1 THEN 'requested' ELSE 'success' END,
    now(), {_WHERE} FROM generate_series(1, {DEPLOYMENTS}) AS i, generate_series(1, 2) AS n;
ALTER TABLE tb_deployment_events ENABLE TRIGGER USER;
INSERT INTO tb_deployments (
    sequence, id, fraise_id, environment, kind, source, lane, supersedes, shown, priority, status,
    requested_at, trigger, ref, commit_sha, release, webhook_event_id, newest_delivery,
    last_event, position)
SELECT i * 2 - 1, {_ID}, {_WHERE}, 'deploy', 'commit', 'release', true, true, 0,
    CASE WHEN i > {DEPLOYMENTS} - 20 THEN 'pending' WHEN i % 3 = 0 THEN 'superseded' ELSE 'success' END,
    now(), 'webhook', 'refs/heads/main', lpad(to_hex(i), 40, '0'), 'r' || i, {_ID}, i, 2,
    i * 2
FROM generate_series(1, {DEPLOYMENTS}) AS i;
INSERT INTO tb_webhook_events (
    id, provider, event_type, delivery_key, body_sha256, body_key, urls, received_at, verdict, reasons, ref)
SELECT {_ID}, 'gitea', 'push', 'k' || i, 'h', 'b' || i, '[]', now(), 'accepted', '[]', 'refs/heads/main'
FROM generate_series(1, {DEPLOYMENTS}) AS i;
INSERT INTO tb_steps (deployment_id, host, attempt, number, name, status, started_at)
SELECT {_ID}, 'barn', 1, 1, 'build', 'success', now() FROM generate_series(1, {DEPLOYMENTS}) AS i;
ANALYZE;
"""
STATEMENTS = (
    *("status", "history", "history_of_fraise", "history_of_environment", "history_of_kind", "deployment"),
    *("deployments_by_prefix", "deployments_by_pattern", "steps", "events", "events_of_deployment"),
    *("deliveries", "deliveries_by_prefix", "deliveries_by_pattern", "delivery", "delivered"),
    *("delivered_refs", "deployments_of_deliveries", "deployments_of_event", "same_delivery", "same_body"),
    *("claim", "waiting_instead", "is_last", "pushed_commits", "running", "releases_in_use", "has_succeeded"),
    *("awaiting_units", "awaited", "newest_runs", "pushes_ahead"),
    *("healthy_releases", "lock_environment_of", "cancellation", "previously_active", "last_event"),
    *("request", "append", "requested_since", "last_of_refs", "last_of_commits", "changes", "output_after"),
)
THE_ID = f"{100:032x}"
PARAMETERS = {
    "id": THE_ID,
    "deployment_id": THE_ID,
    "webhook_event_id": THE_ID,
    "repeats": THE_ID,
    "fraise_id": "f7",
    "environment": "live",
    "kind": "deploy",
    "lane": "release",
    "provider": "gitea",
    "prefix": f"{7:028x}",
    "pattern": "%64",
    "after": 199_000,
    "limit": 50,
    "delivery_key": "k7",
    "ref": "refs/heads/main",
    "commit_sha": "c",
    "deployed": "d",
    "verdict": "accepted",
    "body_key": "b7",
    "event": "cancel_requested",
    "at": "now",
    "trigger": "manual",
    "commits": '["c"]',
    "ids": f'["{THE_ID}"]',
    "durable": False,
    "host": "barn",
    "boot_id": "boot",
    "pid": 1,
    "pid_started": 1,
    "seconds": 30,
}


@pytest.fixture(scope="module")
def filled(postgres_servers: Servers) -> Iterator[Connection]:
    """A store with 100,000 deployments."""
    with postgres_servers(USUAL).database() as url, psycopg.connect(url, autocommit=True) as connection:
        set_up(connection)
        configure(connection, *((f"f{number}", "live") for number in range(50)))
        connection.execute(FILL.encode())
        yield connection


def scans(connection: Connection) -> dict[str, int]:
    """Return how often this transaction has read each of the large tables from beginning to end."""
    query = "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname = ANY (%s)"
    return dict(connection.execute(query, [list(LARGE)]).fetchall())


@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_large_table_is_read_from_beginning_to_end(filled: Connection, statement: str, plan: str) -> None:
    pending, new = f"{DEPLOYMENTS:032x}", "f" * 32
    own: dict[str, dict[str, object]] = {
        "append": {"deployment_id": pending},
        "request": {"deployment_id": new},
        "claim": {"id": None},
    }
    with filled.transaction(force_rollback=True):
        filled.execute(f"SET LOCAL plan_cache_mode = {plan}".encode())
        before = scans(filled)
        run(filled, statement, **{**PARAMETERS, **own.get(statement, {})})
        assert scans(filled) == before


def test_a_whole_scan_would_be_noticed(filled: Connection) -> None:
    with filled.transaction():
        before = scans(filled)
        filled.execute("SELECT count(*) FROM tb_webhook_events WHERE pusher = 'x'")
        assert scans(filled) != before


@pytest.mark.parametrize("statement", ["status", "history"])
def test_what_is_asked_most_reads_few_pages(filled: Connection, statement: str) -> None:
    query = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statements()[statement]}"
    row = {"fraise_id": None, "environment": None, "limit": 50}
    ((((plan,),),)) = filled.execute(query.encode(), row).fetchall()
    pages = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
    assert pages < 1500

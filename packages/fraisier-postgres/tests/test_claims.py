"""Many processes claim and end deployments at once: each deployment is claimed once, and ends once."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from itertools import groupby

import psycopg
import pytest
from fraisier_core import Host
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_postgres.postgres_store import PostgresStore

CLAIMS = int(os.environ.get("FRAISIER_CLAIMS", "1000"))
WORKERS = 8
ENVIRONMENTS = 20
WORKER = """
import os, sys
from fraisier_core import Host, ProcessIdentity
from fraisier_core.store.events import Event
from fraisier_core.store.records import Request
from fraisier_postgres.postgres_store import PostgresStore

store, me = PostgresStore.open(sys.argv[1], Host()), ProcessIdentity.of(os.getpid())
sys.stdin.readline()
claimed = 0
for _ in range(int(sys.argv[2])):
    while (claimed_now := store.claim(me)) is None:
        pass
    lease, found = claimed_now
    store.append(lease, Event("success"))
    again = Request("shop", found.environment, "deploy", "manual", "ada", "main", found.commit_sha)
    store.request_all([again])
"""
SHOP = ConfiguredEnvironment("shop", "site", None, None, "live", None, None)
EVENTS = """
SELECT d.environment, e.deployment_id, e.event FROM tb_deployment_events AS e
JOIN tb_deployments AS d ON d.id = e.deployment_id
WHERE e.event <> 'requested' ORDER BY d.environment, e.sequence
"""


@pytest.mark.parametrize("environments", [ENVIRONMENTS, 1], ids=["many environments", "one environment"])
def test_eight_workers_claim_each_deployment_once(store_url: str, environments: int) -> None:
    each = (CLAIMS if environments > 1 else CLAIMS // 5) // WORKERS
    places = [f"live-{number}" for number in range(environments)]
    with closing(PostgresStore.open(store_url, Host())) as store:
        store.configure(
            [ConfiguredEnvironment("shop", "site", None, None, name, None, None) for name in places]
        )
        store.request_all(
            [Request("shop", name, "deploy", "manual", "ada", "main", "c" * 40) for name in places]
        )
        work_at_once(store_url, each)
        assert store.leases() == []
    with psycopg.connect(store_url) as connection:
        events = connection.execute(EVENTS).fetchall()
    assert [event for *_, event in events].count("claimed") == each * WORKERS
    for _, here in groupby(events, key=lambda event: event[0]):
        in_order = list(here)
        claims, endings = in_order[::2], in_order[1::2]
        assert {event for *_, event in claims} <= {"claimed"}
        assert {event for *_, event in endings} <= {"success"}
        assert [claimed for _, claimed, _ in claims] == [ended for _, ended, _ in endings]
        assert len({claimed for _, claimed, _ in claims}) == len(claims)


def work_at_once(url: str, claims: int) -> None:
    """Have every worker claim and end so many deployments."""
    argv = [sys.executable, "-c", WORKER, url, str(claims)]
    workers = [subprocess.Popen(argv, stdin=subprocess.PIPE) for _ in range(WORKERS)]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"\n")
        worker.stdin.close()
    assert [worker.wait(600) for worker in workers] == [0] * WORKERS

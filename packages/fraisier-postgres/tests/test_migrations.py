import signal
import subprocess
import sys

import psycopg
import pytest
from fraisier_core import Host
from fraisier_postgres.postgres_store import PostgresStore

from tests.postgres import every_postgres
from tests.waiting import wait_until

OPEN = """
import sys
from fraisier_core import Host
from fraisier_postgres.postgres_store import PostgresStore

PostgresStore.open(sys.argv[1], Host())
"""
WAITING = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'fraisier' AND wait_event_type = 'Lock'"
LEFT = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'fraisier'"
OBJECTS = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1
"""


def objects(connection: psycopg.Connection[tuple[str]]) -> list[str]:
    return [name for (name,) in connection.execute(OBJECTS)]


@every_postgres
@pytest.mark.parametrize(
    "in_the_way",
    [
        "CREATE TABLE tb_steps ()",
        "CREATE FUNCTION append_only() RETURNS int RETURN 1",
        "CREATE VIEW v_webhook_refs AS SELECT 1",
    ],
)
def test_a_migration_that_is_killed_leaves_nothing_half_done_and_keeps_no_one_waiting(
    postgres_url: str, in_the_way: str
) -> None:
    with psycopg.connect(postgres_url) as blocker, psycopg.connect(postgres_url, autocommit=True) as watcher:
        blocker.execute(in_the_way.encode())
        with subprocess.Popen([sys.executable, "-c", OPEN, postgres_url]) as migrating:
            wait_until(lambda: watcher.execute(WAITING).fetchone())
            migrating.send_signal(signal.SIGKILL)
        blocker.rollback()
        wait_until(lambda: not watcher.execute(LEFT).fetchone())
        assert objects(watcher) == []
        store = PostgresStore.open(postgres_url, Host())
        assert store.migrated
        assert {"tb_steps", "append_only", "v_webhook_refs"} <= set(objects(watcher))
        store.close()

import signal
import subprocess
import sys
from contextlib import closing

import psycopg
import pytest
from fraisier_core import Host, StoreError
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


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("synchronous_commit", "off"),
        ("default_transaction_isolation", "repeatable read"),
        ("default_transaction_isolation", "serializable"),
    ],
)
def test_a_database_whose_defaults_break_promises_is_refused(
    postgres_url: str, setting: str, value: str
) -> None:
    PostgresStore.open(postgres_url, Host()).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {setting} = '{value}'".encode())
    with pytest.raises(StoreError, match=f"{setting} is {value}; .* SET {setting} = '"):
        PostgresStore.open(postgres_url, Host())


@every_postgres
@pytest.mark.parametrize("table", ["tb_steps", "tb_leases", "tb_deployment_events"])
def test_what_was_prepared_before_a_migration_added_a_column_is_prepared_again(
    postgres_url: str, table: str
) -> None:
    select = f"SELECT * FROM {table}"
    with closing(PostgresStore.open(postgres_url, Host())) as store:
        connection = store._connection
        for _ in range(7):
            assert connection.transact(lambda: connection.all(select)) == []
        with psycopg.connect(postgres_url) as migrating:
            migrating.execute(f"ALTER TABLE {table} ADD COLUMN note text".encode())
        assert connection.transact(lambda: connection.all(select)) == []
        with psycopg.connect(postgres_url) as migrating:
            migrating.execute(f"ALTER TABLE {table} DROP COLUMN note".encode())
        assert connection.all(select) == []

"""Through PgBouncer, which gives each transaction another session of PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from fraisier_core import Host, StoreError
from fraisier_core.store.events import Event
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.system.processes import ProcessIdentity
from fraisier_postgres.postgres_connection import PostgresConnection
from fraisier_postgres.postgres_reader import PostgresReader
from fraisier_postgres.postgres_store import PostgresStore
from psycopg.conninfo import conninfo_to_dict

from tests.waiting import wait_until

PORT = 6432
HOST = Host()
HOLDER = ProcessIdentity(1, 1)
# Two sessions for every client: whoever keeps something in one disturbs another soon.
SETTINGS = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr =
listen_port = {own_port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = 2
logfile = {folder}/log
"""
UNPRIVILEGED = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups")


@pytest.fixture
def pooled_url(postgres_url: str) -> Iterator[str]:
    """The address of an empty database, through a PgBouncer of the test's own."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed: Debian's pgbouncer")
    server = conninfo_to_dict(postgres_url)
    with tempfile.TemporaryDirectory(prefix="fraisier-pgbouncer-", dir="/tmp") as name:
        folder = Path(name)
        settings = folder / "pgbouncer.ini"
        settings.write_text(SETTINGS.format(**server, own_port=PORT, folder=folder))
        unprivileged = UNPRIVILEGED if os.geteuid() == 0 else ()
        if unprivileged:
            shutil.chown(folder, "nobody", "nogroup")
        process = subprocess.Popen([*unprivileged, program, "--quiet", settings], stdin=subprocess.DEVNULL)
        wait_until((folder / f".s.PGSQL.{PORT}").exists)
        auth = f"{server['user']}@/{server['dbname']}"
        yield f"postgresql://{auth}?host={quote(name, safe='')}&port={PORT}"
        process.terminate()
        process.wait()


@pytest.fixture
def store(pooled_url: str) -> Iterator[PostgresStore]:
    """A store with two environments."""
    with closing(PostgresStore.open(pooled_url, HOST)) as store:
        names = ("live", "trial")
        store.configure(
            [ConfiguredEnvironment("shop", "site", None, None, name, None, None) for name in names]
        )
        yield store


def requested(environment: str) -> Request:
    return Request("shop", environment, "deploy", "manual", "alice", "refs/heads/main", "0" * 40)


def deploy(store: PostgresStore, environment: str) -> str:
    """Take one deployment from its request to its end."""
    deployment_id, claimed = store.request_and_claim(requested(environment), HOLDER)
    assert claimed
    lease = claimed.lease
    store.renew(lease)
    store.write_log(lease, 1, "built", 0, 1000)
    store.append(lease, Event("failed", message="the site does not answer"))
    return deployment_id


def test_what_several_prepare_does_not_meet_in_one_session(pooled_url: str, store: PostgresStore) -> None:
    def deploy_often(environment: str) -> list[str]:
        with closing(PostgresStore.open(pooled_url, HOST)) as own:
            return [deploy(own, environment) for _ in range(20)]

    with ThreadPoolExecutor() as threads:
        found = [threads.submit(deploy_often, name) for name in ("live", "trial")]
        ids = [each for future in found for each in future.result()]
    assert sorted(each.id for each in store.deployments(limit=100)) == sorted(ids)
    assert {each.status for each in store.deployments(limit=100)} == {"failed"}


def test_a_reader_leaves_no_session_that_refuses_changes(pooled_url: str, store: PostgresStore) -> None:
    readers = [PostgresReader.open(pooled_url, HOST) for _ in range(3)]
    for reader in readers:
        assert reader
        reader.status()
    done = deploy(store, "live")
    for reader in readers:
        assert reader
        assert reader.deployment(done).status == "failed"
        reader.close()


def test_a_reader_changes_nothing(pooled_url: str, store: PostgresStore, postgres_url: str) -> None:
    for url in (pooled_url, postgres_url):
        with closing(PostgresConnection(url, for_reading=True)) as connection:
            for change in ("DELETE FROM tb_fraises", "CREATE TABLE more (number int)", "TRUNCATE tb_kinds"):
                with pytest.raises(StoreError, match="read-only"):
                    connection.execute(change)
    assert store.status()


def test_several_create_the_store_at_once(pooled_url: str) -> None:
    with ThreadPoolExecutor() as threads:
        opened = list(threads.map(lambda _: PostgresStore.open(pooled_url, HOST), range(4)))
    assert sum(bool(each.migrated) for each in opened) == 1
    for each in opened:
        each.close()


def test_a_worker_that_hears_nothing_disturbs_nobody(pooled_url: str, store: PostgresStore) -> None:
    with closing(store.wake_ups()) as wake_ups:
        wake_ups.clear()
        store.wake()
        deploy(store, "live")
    assert store.deployments()[0].status == "failed"


def test_a_client_is_none_the_worse_for_the_end_of_its_sessions(
    pooled_url: str, store: PostgresStore, postgres_url: str
) -> None:
    deploy(store, "live")
    with psycopg.connect(postgres_url, autocommit=True) as superuser:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        superuser.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}".encode())
    deploy(store, "trial")
    assert len(store.deployments()) == 2

"""The PostgreSQL servers of the tests: shared, killed, and gone once the tests are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.environments import ROOT
from tests.postgres import PASSWORD, VERSIONS, Server, Servers, every_postgres
from tests.postgres_end import processes_of
from tests.waiting import wait_until

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
SHARING = """
from pathlib import Path
from tests.postgres import Servers
servers = Servers(Path({place!r}))
print(servers({version}).folder)
servers.close()
"""
WAITING = """
import os, sys
def test_it(postgres_servers, {more}):
    folder = postgres_servers(18).folder
    with open({told!r}, "a") as told:
        print(folder, {more}.folder, file=told)
    os.read(0, 1)
"""


def value(url: str, sql: str = "SELECT 1") -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(sql.encode()).fetchone()
        return row and row[0]


@contextmanager
def session(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[Path]]]:
    """Run a test that uses a shared server and one of its own, and yield it with the folders of both."""
    told = folder / "told"
    (folder / "test_it.py").write_text(WAITING.format(more="postgres_server", told=str(told)))
    options = ("-p", "tests.sharing", "-p", "tests.postgres", "-p", "no:cacheprovider", "-c", os.devnull)
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s", *options, f"--basetemp={folder / 'base'}", folder],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        wait_until(lambda: told.exists() and told.read_text().endswith("\n"))
        yield process, [Path(path) for path in told.read_text().split()]


def shared_memory(server: Server) -> str:
    return (server.folder / "data/postmaster.pid").read_text().splitlines()[6].split()[1]


def segments() -> set[str]:
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()}


def is_gone(folder: Path) -> bool:
    return not processes_of(folder) and not folder.exists()


@every_postgres
def test_a_database_is_new_and_empty(postgres_url: str, postgres_version: int) -> None:
    assert value(postgres_url, "SELECT count(*) FROM pg_stat_user_tables") == 0
    assert value(postgres_url, "SHOW server_version").split(".")[0] == str(postgres_version)  # type: ignore[attr-defined]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_server_of_a_version_is_shared(
    postgres_servers: Servers, shared_folder: Path, version: int
) -> None:
    server = postgres_servers(version)
    program = SHARING.format(place=str(shared_folder), version=version)
    for _ in range(2):
        other = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)
        assert Path(other.stdout.decode().strip()) == server.folder
        assert value(server.url()) == 1


def test_a_database_is_dropped_while_it_is_used(postgres_servers: Servers) -> None:
    server = postgres_servers(18)
    with server.database() as url, psycopg.connect(url) as connection:
        name = connection.info.dbname
        connection.execute("CREATE TABLE there (is_ integer)")
    sql = f"SELECT count(*) FROM pg_database WHERE datname = '{name}'"
    assert value(server.url(), sql) == 0


def test_a_database_is_copied_from_a_template_that_is_made_once(postgres_servers: Servers) -> None:
    server = postgres_servers(18)
    filled = []

    def fill(url: str) -> None:
        filled.append(url)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE made AS SELECT 3 AS number")
        if len(filled) < 2:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        server.template("filled", fill)
    for _ in range(2):
        with server.database(server.template("filled", fill)) as url:
            assert value(url, "SELECT number FROM made") == 3
    assert len(filled) == 2, "once more after it failed, and not again"


def test_tcp_asks_for_the_password(postgres_servers: Servers) -> None:
    server = postgres_servers(18)
    assert value(server.tcp_url()) == 1
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.tcp_url().replace("secret", "guess"))
    assert PASSWORD not in server.tcp_url()


@every_postgres
def test_a_server_of_ones_own_is_killed_restarted_and_stopped(postgres_server: Server) -> None:
    url = postgres_server.url()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    with psycopg.connect(url) as connection:
        postgres_server.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    postgres_server.start()
    assert value(url, "SELECT number FROM kept") == 7
    before = postgres_server.postmaster
    postgres_server.restart()
    assert postgres_server.postmaster != before
    assert value(url, "SELECT number FROM kept") == 7
    assert value(url, "SHOW fsync") == "on"
    postgres_server.stop()
    assert processes_of(postgres_server.folder) == []


@pytest.mark.parametrize("state", ["running", "stopped", "killed", "bereft", "suspended"])
def test_a_server_of_ones_own_is_gone_afterwards(postgres_servers: Servers, state: str) -> None:
    with postgres_servers.own(18) as server:
        segment = shared_memory(server)
        assert segment in segments()
        if state == "stopped":
            server.stop()
        elif state == "killed":
            server.kill()
        elif state == "bereft":
            os.kill(server.postmaster, signal.SIGKILL)
        elif state == "suspended":
            for pid in processes_of(server.folder):
                os.kill(pid, signal.SIGSTOP)
    assert is_gone(server.folder)
    assert segment not in segments()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_server_outlives_tests_that_are_killed(tmp_path: Path, number: signal.Signals) -> None:
    with session(tmp_path) as (process, folders):
        assert all(map(processes_of, folders))
        os.killpg(process.pid, number)
        process.communicate()
    wait_until(lambda: all(map(is_gone, folders)))


def test_no_server_outlives_tests_that_end(tmp_path: Path) -> None:
    with session(tmp_path) as (process, folders):
        said, _ = process.communicate(b"\n")
    assert process.returncode == 0, said
    wait_until(lambda: all(map(is_gone, folders)))

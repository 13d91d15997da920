"""The newest of the history over a million deployments by GraphQL, against Strawberry and a bare route."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.system.host import Host
from fraisier_graphql.api_schema import EXPORTED, ApiSchema

from benchmarks.figures import Figure, median
from benchmarks.history import EVENTS_OF_ONE, fill
from tests.waiting import wait_until

DEPLOYMENTS = int(os.environ.get("FRAISIER_DEPLOYMENTS", "1_000_000"))
ROUNDS, REQUESTS = 30, 50
DOCUMENT = """query ($limit: Int) {
  deploymentHistory(limit: $limit) { id fraiseId environment status startedAt completedAt } }"""
BODY = json.dumps({"query": DOCUMENT, "variables": {"limit": 50}}).encode()
CONFIG = "graphql: {development: true}\ngit: {github: {webhook_secret: of a benchmark}}\nfraises: {}\n"
BIN = Path(sys.executable).parent


def figures(folder: Path) -> Iterator[Figure]:
    """Ask each server in turn, on one connection, and yield the figures."""
    database = folder / ".fraisier" / "fraisier.db"
    with closing(SqliteStore.open(database, Host())) as store:
        fill(store, "sqlite", DEPLOYMENTS * EVENTS_OF_ONE)
    (folder / "fraises.yaml").write_text(CONFIG)
    other = [sys.executable, "-m", "benchmarks.graphql_servers"]
    with ExitStack() as running:
        ours = running.enter_context(
            _serving(folder, [str(BIN / "fraisier-webhook"), "--no-worker", "--port", "0"])
        )
        theirs = running.enter_context(_serving(folder, [*other, "strawberry", str(database)]))
        floor = running.enter_context(_serving(folder, [*other, "bare", str(database)]))
        _check_alike(ours, theirs)
        rounds = [(ours.cost(), theirs.cost(), floor.cost()) for _ in range(ROUNDS)]
    title = f"the newest 50 of {DEPLOYMENTS:,} deployments by GraphQL on SQLite"
    detail = _detail(rounds)
    faster = median([each[1] / each[0] for each in rounds])
    yield Figure(f"{title}, times as fast as Strawberry", ">=", 3.0, faster, "x", detail)
    cost = median([each[0] / each[2] for each in rounds])
    yield Figure(f"{title}, against a route that dumps the rows", "<=", 2.0, cost, "x", detail)
    yield from _loading()


def _detail(rounds: Sequence[tuple[float, float, float]]) -> str:
    ours, theirs, floor = (median([each[which] for each in rounds]) * 1e3 for which in range(3))
    return f"median {ours:.2f} ms of a processor; Strawberry {theirs:.2f} ms, the route {floor:.2f} ms"


def _check_alike(ours: Server, theirs: Server) -> None:
    found, wanted = (json.loads(each.asked())["data"]["deploymentHistory"] for each in (ours, theirs))
    assert found == wanted
    assert len(found) == 50


def asked_by(client: HTTPConnection) -> bytes:
    """Ask for the newest of the history once, and return the answer."""
    client.request("POST", "/graphql", BODY, {"Content-Type": "application/json"})
    answer = client.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return body


@dataclass(frozen=True, slots=True)
class Server:
    """A server to ask.

    Args:
        pid: of its process.
        client: is connected to it.
    """

    pid: int
    client: HTTPConnection

    def asked(self) -> bytes:
        """Ask once, and return the answer."""
        return asked_by(self.client)

    def cost(self) -> float:
        """Return the seconds of a processor that a request takes, whatever else the machine does."""
        self.client.close()  # an idle connection may have been closed
        self.asked()
        before = self._seconds()
        for _ in range(REQUESTS):
            self.asked()
        return (self._seconds() - before) / REQUESTS

    def _seconds(self) -> float:
        """Return the time on a processor of all its threads (proc_pid_schedstat)."""
        files = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(each.read_text().split()[0]) for each in files) / 1e9


@contextmanager
def _serving(folder: Path, command: Sequence[str]) -> Iterator[Server]:
    log = folder / f"{len(list(folder.glob('*.log')))}.log"
    environ = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": os.defpath, "HOME": str(folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, env=environ)
    try:
        found = wait_until(lambda: re.search(r"listening on http://(\S+)", log.read_text()), log.read_text)
        with closing(HTTPConnection(found[1])) as client:
            yield Server(process.pid, client)
    finally:
        process.kill()
        process.wait()


def _loading() -> Iterator[Figure]:
    """Yield how long a schema of ten times the size takes."""
    exported = json.loads(EXPORTED.read_bytes())
    for key in ("types", "queries", "mutations", "subscriptions"):
        exported[key] = [
            each | {"name": each["name"] + suffix} for suffix in ("", *"BCDEFGHIJ") for each in exported[key]
        ]
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        _ = ApiSchema(exported).graphql
        seconds.append(time.perf_counter() - started)
    size = len(exported["types"])
    detail = f"{size} types; the slowest of 10"
    yield Figure("loading a schema of 10 times the size", "<=", 1.0, max(seconds), "s", detail)

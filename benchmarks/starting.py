"""From an accepted push to the first step of its deployment, with an idle worker in its own process."""

from __future__ import annotations

import http.client
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.deploying import commit_files, make_repository
from benchmarks.figures import Figure, median, percentile
from benchmarks.installation import SCRIPTS, clean_environment, webhook, write_configuration
from benchmarks.load import signed_headers
from benchmarks.payload import push_body
from tests.databases import Database, PostgresDatabase, SqliteDatabase
from tests.postgres import USUAL, Servers
from tests.stores import OpenStore

PUSHES = 60
COMMITS = 400
NEW_FRAISE = "INSERT INTO tb_fraises (id, type, configured) VALUES (:id, 'api', CAST(1 AS boolean))"


def figures(folder: Path) -> Iterator[Figure]:
    """Measure on each database, and yield the figures."""
    state = folder / "sqlite" / ".fraisier"
    yield _figure(folder / "sqlite", "SQLite", SqliteDatabase(state / "fraisier.db"), 15.0)
    servers = Servers(folder)
    with servers.own(USUAL) as server, server.database() as url:
        yield _figure(folder / "postgresql", "PostgreSQL", PostgresDatabase(url), 8.0)
    servers.close()


def _figure(folder: Path, name: str, database: Database, goal: float) -> Figure:
    folder.mkdir()
    repository = make_repository(folder / "repository", files=1)
    config = write_configuration(folder, str(repository))
    with config.open("a") as file:
        file.write(f'database: {{url: "{database.url}"}}\n')
    with closing(database.open()) as store, webhook(config, folder / "web.log") as (_, url):
        worker = subprocess.Popen(
            [SCRIPTS / "fraisier", "worker", "-c", config],
            env=clean_environment(),
            stderr=(folder / "worker.log").open("wb"),
        )
        try:
            _await_ready(url)
            delays = [_delay(store, repository, url) for _ in range(PUSHES)]
        finally:
            worker.terminate()
            worker.wait(60)
        commit = median(durable_commits(store))
    p95 = percentile(delays, 0.95)
    detail = f"median {median(delays) * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms; commit {commit * 1e3:.2f} ms"
    title = f"accepted to first step on {name}, one push at a time: p95 against a durable commit"
    return Figure(title, "<=", goal, p95 / commit, "x", detail)


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if _request(url, "GET", "/readyz")[0] == 200:
            return
        time.sleep(0.2)
    raise TimeoutError("no worker came up")


def _delay(store: OpenStore, repository: Path, url: str) -> float:
    """Push once, wait until it is deployed, and return the seconds from the 202 to the first step."""
    commit = commit_files(repository)
    body = push_body(commit).replace(b"https://forge.example/acme/my-api.git", str(repository).encode())
    status, answer = _request(url, "POST", "/webhook", body, signed_headers(body))
    accepted = datetime.now(UTC)
    assert status == 202, answer
    while not (deployment := store.deployments(limit=1)[0]).completed_at:
        time.sleep(0.01)
    assert deployment.status == "success", deployment
    first = store.steps(deployment.id)[0]
    time.sleep(0.05)  # the worker has a spare process again
    return (datetime.fromisoformat(first.started_at) - accepted).total_seconds()


def _request(
    url: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    with closing(connection):
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()


def durable_commits(store: OpenStore) -> list[float]:
    """Return the seconds of each of many small durable commits in the same database."""
    times = []
    for _ in range(COMMITS):
        started = time.perf_counter()
        store.transact(partial(store.execute, NEW_FRAISE, {"id": secrets.token_hex(8)}))
        times.append(time.perf_counter() - started)
    return times

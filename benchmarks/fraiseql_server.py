"""What fraiseql-server takes for what the embedded server is measured by: it is stated, and no goal of ours.

It is as `script/fraiseql` built it; for figures, build it without `--debug` into the same folder.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from fraisier_core.store.records import ConfiguredEnvironment

from benchmarks.figures import Figure, median, percentile
from benchmarks.graphql_history import DEPLOYMENTS, REQUESTS, ROUNDS, asked_by
from benchmarks.history import EVENTS_OF_ONE, fill
from benchmarks.live import changes
from benchmarks.starting import durable_commits
from tests.databases import PostgresDatabase
from tests.graphql.fraiseql_server import over_tcp, served
from tests.graphql.subscriber import Subscriber, subscriber
from tests.postgres import USUAL, Servers
from tests.postgres_server import Server
from tests.stores import OpenStore

CHANGED = 30
PAUSE_SECONDS = (0.3, 0.5)
"""Random, because it polls: a pause of ever the same length would meet it at ever the same moment."""


def figures(folder: Path) -> Iterator[Figure]:
    """Ask it for the newest of the history, and listen to changes; yield the figures."""
    servers = Servers(folder)
    with servers.own(USUAL) as server:
        with _served(server, folder / "history", _filled) as (_, url):
            yield _newest(url)
        with _served(server, folder / "changes", _configured) as (store, url), subscriber(url) as client:
            yield _delay(store, client.begin())
    servers.close()


@contextmanager
def _served(
    server: Server, folder: Path, make: Callable[[OpenStore], None]
) -> Iterator[tuple[OpenStore, str]]:
    """Yield a store of its own that is served, and the URL."""
    folder.mkdir()
    with server.database() as url, closing(PostgresDatabase(url).open()) as store:
        make(store)
        with served(over_tcp(server, url), folder) as api:
            yield store, api.url


def _filled(store: OpenStore) -> None:
    fill(store, "postgresql", DEPLOYMENTS * EVENTS_OF_ONE)


def _configured(store: OpenStore) -> None:
    store.configure([ConfiguredEnvironment("my_api", "api", None, None, "production", None, None)])


def _newest(url: str) -> Figure:
    with closing(HTTPConnection(urlsplit(url).netloc)) as client:
        seconds = [_seconds(client) for _ in range(ROUNDS * REQUESTS)]
    return Figure(
        f"the newest 50 of {DEPLOYMENTS:,} deployments by fraiseql-server on PostgreSQL",
        "<=", None, median(seconds) * 1e3, "ms", f"median; p95 {percentile(seconds, 0.95) * 1e3:.2f} ms",
    )  # fmt: skip


def _seconds(client: HTTPConnection) -> float:
    started = time.perf_counter()
    body = asked_by(client)
    assert b'"deploymentHistory":[{' in body, body
    return time.perf_counter() - started


def _delay(store: OpenStore, client: Subscriber) -> Figure:
    client.subscribe("subscription { deploymentStatusChanged { id status } }")
    seconds = [_heard(client) for _ in changes(store, CHANGED)]
    commit = median(durable_commits(store))
    detail = f"median {median(seconds) * 1e3:.0f} ms; commit {commit * 1e3:.2f} ms"
    p95 = percentile(seconds, 0.95)
    return Figure(
        "from the COMMIT of a change to one subscriber of fraiseql-server: p95",
        "<=",
        None,
        p95 * 1e3,
        "ms",
        detail,
    )


def _heard(client: Subscriber) -> float:
    """Return the seconds until a change is heard that was just committed."""
    committed = time.perf_counter()
    client.told(1)
    took = time.perf_counter() - committed
    time.sleep(random.uniform(*PAUSE_SECONDS))
    return took

"""Subscribers over WebSockets: how late they hear of a change, and what they cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fraisier_core.store.events import Event
from fraisier_core.store.records import Request
from fraisier_core.system.processes import ProcessIdentity

from benchmarks.figures import Figure, median, percentile
from benchmarks.installation import resident_megabytes, webhook, write_configuration
from benchmarks.starting import durable_commits
from tests.databases import Database, PostgresDatabase, SqliteDatabase
from tests.postgres import USUAL, Servers
from tests.stores import OpenStore

SUBSCRIBERS = 1000
DEPLOYMENTS = 15
PAUSE_SECONDS = 0.4
COMMITS = 20
EACH = 20


def figures(folder: Path) -> Iterator[Figure]:
    """Measure on each database, and yield the figures."""
    state = folder / "sqlite" / ".fraisier"
    yield from _figures(folder / "sqlite", "SQLite", SqliteDatabase(state / "fraisier.db"))
    servers = Servers(folder)
    with servers.own(USUAL) as server, server.database() as url:
        yield from _figures(folder / "postgresql", "PostgreSQL", PostgresDatabase(url))
    servers.close()


@dataclass(frozen=True, slots=True)
class Heard:
    """What a number of subscribers heard.

    Args:
        last: how long after each commit the last of them heard of it, in seconds.
        times: how often all of them together heard of each.
        megabytes: what the web process grew by.
    """

    last: list[float]
    times: set[int]
    megabytes: float


def _figures(folder: Path, name: str, database: Database) -> Iterator[Figure]:
    folder.mkdir()
    config = write_configuration(folder)
    with config.open("a") as file:
        file.write(f'database: {{url: "{database.url}"}}\ngraphql: {{development: true}}\n')
    with webhook(config, folder / "web.log") as (server, url), closing(database.open()) as store:
        one = _heard(store, server.pid, url, 1)
        all_of_them = _heard(store, server.pid, url, SUBSCRIBERS)
        commit = median(durable_commits(store))
    p95 = percentile(one.last, 0.95)
    yield Figure(
        f"from the COMMIT of a change to one subscriber on {name}: p95 against a durable commit",
        "<=",
        COMMITS,
        p95 / commit,
        "x",
        f"median {median(one.last) * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms; commit {commit * 1e3:.2f} ms",
    )
    last = percentile(all_of_them.last, 0.95)
    yield Figure(
        f"to the last of {SUBSCRIBERS:,} subscribers on {name}: p95 against a durable commit",
        "<=",
        COMMITS * EACH,
        last / commit,
        "x",
        f"median {median(all_of_them.last) * 1e3:.0f} ms, p95 {last * 1e3:.0f} ms",
    )
    yield Figure(
        f"memory of {SUBSCRIBERS:,} subscribers on {name}",
        "<=",
        60.0,
        all_of_them.megabytes,
        "MB",
        f"each hears every change {'once' if all_of_them.times == {SUBSCRIBERS} else 'WRONG'}",
    )


def _heard(store: OpenStore, pid: int, url: str, subscribers: int) -> Heard:
    before = resident_megabytes(pid)
    with _listening(url, subscribers) as listeners:
        committed = dict(_committed(store) for _ in changes(store, DEPLOYMENTS))
        megabytes = resident_megabytes(pid) - before
        assert listeners.stdin is not None
        time.sleep(1)
        found, _ = listeners.communicate()
    heard = {int(position): seen for position, seen in json.loads(found).items()}
    assert heard.keys() == committed.keys(), "a change was not heard"
    return Heard(
        [heard[position][1] - at for position, at in committed.items()],
        {count for _, _, count in heard.values()},
        megabytes,
    )


@contextmanager
def _listening(url: str, subscribers: int) -> Iterator[subprocess.Popen[bytes]]:
    parts = urlsplit(url)
    argv = [sys.executable, "-m", "benchmarks.listening", parts.hostname, parts.port, subscribers]
    with subprocess.Popen(
        [str(each) for each in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as listeners:
        assert listeners.stdout is not None
        assert listeners.stdout.readline() == b"ready\n"
        yield listeners


def changes(store: OpenStore, deployments: int) -> Iterator[None]:
    """Change the status of deployments, three times each, and yield after each COMMIT."""
    me = ProcessIdentity.of(os.getpid())
    wanted = Request("my_api", "production", "deploy", "manual", "bench", "refs/heads/main")
    for _ in range(deployments):
        store.request_all([wanted])
        yield
        claimed = store.claim(me)
        assert claimed is not None
        yield
        store.append(claimed.lease, Event("success", duration=1.0))
        yield


def _committed(store: OpenStore) -> tuple[int, float]:
    """Return what was committed last, and the time; what hears of it has a while for that."""
    at = time.monotonic()
    position = store.position()
    time.sleep(PAUSE_SECONDS)
    return position, at

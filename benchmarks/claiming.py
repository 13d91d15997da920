"""Claiming a deployment while nothing is held, and while much is, against claims that know no holds."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from fraisier_core.store.events import Event
from fraisier_core.store.records import ConfiguredEnvironment, Request
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity
from fraisier_postgres.postgres_store import PostgresStore

from benchmarks.figures import Figure, median
from tests.postgres import USUAL, Servers

AnyStore = SqliteStore | PostgresStore
WAITING, HELD = 20, 200
ROUNDS = 300
ME = ProcessIdentity.of(os.getpid())
HELD_CLAUSE = re.compile(
    r" *AND NOT \((?:ahead\.)?obeys_holds AND EXISTS \(.*?environment\)\)\)\n", re.DOTALL
)


def figures(folder: Path) -> Iterator[Figure]:
    """Measure on each database, each claim in turn with the others, and yield the figures."""
    for database, opened in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        with ExitStack() as stack:
            found = {name: stack.enter_context(opened(folder / f"{database}-{name}")) for name in _FILLED}
            for name, fill in _FILLED.items():
                fill(found[name])
            rounds = [{name: _seconds(store) for name, store in found.items()} for _ in range(ROUNDS)]
        spent = {name: median([each[name] for each in rounds]) for name in _FILLED}
        detail = ", ".join(f"{name} {seconds * 1e6:.0f} µs" for name, seconds in spent.items())
        for name, what in (("none", "nothing is held"), ("many", f"{HELD} other environments are held")):
            title = (
                f"claim one of {WAITING} deployments on {database} while {what}, against SQL without holds"
            )
            value = median([each[name] / each["floor"] for each in rounds])
            yield Figure(title, "<=", 1.15, value, "x", detail)


def _fill(store: AnyStore) -> None:
    """Have pushes wait in some environments, beside others."""
    places = [f"fraise_{number}" for number in range(WAITING + HELD)]
    store.configure(
        ConfiguredEnvironment(each, "api", None, None, "production", None, "main") for each in places
    )
    store.request_all([_push(each) for each in places[:WAITING]])


def _fill_and_hold(store: AnyStore) -> None:
    _fill(store)
    for number in range(WAITING, WAITING + HELD):
        store.hold(f"fraise_{number}", "production", "an incident", "ops")


def _fill_without_holds(store: AnyStore) -> None:
    """Have claims know no holds."""
    _fill(store)
    name = "0005_claims" if isinstance(store, PostgresStore) else "0002_rules"
    text = (store.dialect / "migrations" / f"{name}.sql").read_text()
    (view,) = re.findall(r"CREATE VIEW claimable_deployments .*?;\n", text, re.DOTALL)
    view, count = HELD_CLAUSE.subn("", view)
    assert count == 2
    store._connection.execute("DROP VIEW claimable_deployments")
    store._connection.execute(view.rstrip(";\n"))


_FILLED = {"floor": _fill_without_holds, "none": _fill, "many": _fill_and_hold}


def _seconds(store: AnyStore) -> float:
    started = time.perf_counter()
    claimed = store.claim(ME)
    seconds = time.perf_counter() - started
    assert claimed is not None
    store.append(claimed.lease, Event("success"), follow_up=_push(claimed.deployment.fraise_id))
    return seconds


def _push(fraise: str) -> Request:
    return Request(fraise, "production", "deploy", "webhook", "ada", "refs/heads/main", "c" * 40)


@contextmanager
def _sqlite(folder: Path) -> Iterator[AnyStore]:
    with closing(SqliteStore.open(folder / "fraisier.db", Host())) as store:
        yield store


@contextmanager
def _postgresql(folder: Path) -> Iterator[AnyStore]:
    folder.mkdir()
    servers = Servers(folder)
    with (
        servers.own(USUAL) as server,
        server.database() as url,
        closing(PostgresStore.open(url, Host())) as store,
    ):
        yield store
    servers.close()

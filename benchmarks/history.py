"""Reading the status and the newest of the history over ten million events, against ten thousand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fraisier_core.store.protocol import Reader
from fraisier_core.store.relational.dialect import statements
from fraisier_core.store.relational.store import RelationalStore
from fraisier_core.store.sqlite.sqlite_store import SqliteStore
from fraisier_core.store.tables import TABLES
from fraisier_core.system.host import Host
from fraisier_postgres.postgres_store import PostgresStore

from benchmarks.figures import Figure, beside, median
from tests.postgres import USUAL, Servers

EVENTS_OF_ONE = 10
MANY, FEW = 10_000_000, 10_000
NEWEST = 50
ROUNDS = 200
(EVENTS,) = (table for table in TABLES if table.name == "tb_deployment_events")

READINGS: dict[str, Callable[[Reader], object]] = {
    "the status of 20 environments": lambda reader: reader.status(),
    f"the newest {NEWEST} of the history": lambda reader: reader.deployments(limit=NEWEST),
}


def figures(folder: Path) -> Iterator[Figure]:
    """Measure on each database, over many events and over few in turn, and yield the figures."""
    for database, filled in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        with (
            filled(folder / f"{database}-many", MANY) as many,
            filled(folder / f"{database}-few", FEW) as few,
        ):
            for what, read in READINGS.items():
                yield _compare(f"{what} on {database}", read, many, few)


def _compare(what: str, read: Callable[[Reader], object], many: Reader, few: Reader) -> Figure:
    pairs = [(_seconds(read, many), _seconds(read, few)) for _ in range(ROUNDS)]
    detail = beside([ours for ours, _ in pairs], [floor for _, floor in pairs])
    title = f"{what}, over {MANY:,} events against {FEW:,}"
    return Figure(title, "<=", 1.5, median([ours / floor for ours, floor in pairs]), "x", detail)


def _seconds(read: Callable[[Reader], object], reader: Reader) -> float:
    started = time.perf_counter()
    read(reader)
    return time.perf_counter() - started


@contextmanager
def _sqlite(folder: Path, events: int) -> Iterator[Reader]:
    with closing(SqliteStore.open(folder / "fraisier.db", Host())) as store:
        fill(store, "sqlite", events)
        yield store


@contextmanager
def _postgresql(folder: Path, events: int) -> Iterator[Reader]:
    folder.mkdir()
    servers = Servers(folder)
    with (
        servers.own(USUAL) as server,
        server.database() as url,
        closing(PostgresStore.open(url, Host())) as store,
    ):
        fill(store, "postgresql", events)
        yield store
    servers.close()


def fill(store: RelationalStore, dialect: str, events: int) -> None:
    """Load events in bulk, without the rules of the store, and fold them."""
    sql, connection = statements(Path(__file__).parent, f"history_{dialect}"), store._connection
    deployments = {"deployments": events // EVENTS_OF_ONE}

    def load() -> None:
        with store.contents()._without_rules(EVENTS):
            connection.execute(sql["fraise"])
            connection.execute(sql["environments"])
            connection.execute(sql["events"], deployments)

    connection.transact(load)
    store.rebuild()
    connection.execute(sql["settle"])

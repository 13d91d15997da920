"""Reading the status and the newest of the history over ten million events, against ten thousand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fraisier_core.store.protocol import Reader
from fraisier_core.system.host import Host
from fraisier_postgres.postgres_store import PostgresStore

from benchmarks.figures import Figure, beside, median
from tests.postgres import USUAL, Servers
from tests.stores import open_store

EVENTS_OF_ONE = 10
MANY, FEW = 10_000_000, 10_000
NEWEST = 50
ROUNDS = 200

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
    folder.mkdir()
    with closing(open_store(folder / "fraisier.db")) as store:
        triggers = store.all(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'tb_deployment_events'"
        )
        with store.transaction():
            for trigger in triggers:
                store.execute(f"DROP TRIGGER {trigger['name']}")
            for statement in _statements("sqlite"):
                store.execute(statement, {"deployments": events // EVENTS_OF_ONE})
            for trigger in triggers:
                store.execute(trigger["sql"])
        store.rebuild()
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.execute("ANALYZE")
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
        connection = store._connection
        for statement in _statements("postgresql"):
            connection.execute(statement, {"deployments": events // EVENTS_OF_ONE})
        store.rebuild()
        connection.execute("VACUUM ANALYZE")
        yield store
    servers.close()


def _statements(dialect: str) -> list[str]:
    text = (Path(__file__).parent / f"history_{dialect}.sql").read_text()
    return [statement for statement in text.split(";\n") if statement.strip()]

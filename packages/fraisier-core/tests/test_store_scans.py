"""On SQLite, nothing that is asked at each turn or command reads all deployments, however many there are."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing

import pytest
from fraisier_core.store.relational.dialect import statements
from fraisier_core.store.sqlite.sqlite_migrations import SQL

from tests.stores import open_store

STATEMENTS = (
    *("newest_runs", "pushes_ahead", "awaiting_units", "claimable", "running", "has_succeeded", "is_last"),
    *("releases_in_use", "skip_overlapping", "history_of_environment"),
)
SMALL = {"e", "k", "s", "CONSTANT", "json_each"}
"""What may be read whole: environments, kinds, serving releases."""
OF_FEW = {"pending_deployment", "run_awaiting_its_unit"}
"""The indexes of few rows: what waits."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("store") / "store.db"
    open_store(path).close()
    with closing(sqlite3.connect(path)) as opened:
        yield opened


def scanned(connection: sqlite3.Connection, sql: str) -> set[str]:
    """Return what the plan of a statement reads from beginning to end, by the names that it has there."""
    parameters: defaultdict[str, str] = defaultdict(str)
    for name in re.findall(r":(\w+)", sql):
        parameters[name] = "[]"
    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
    found = [re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", each[-1]) for each in plan]
    return {each[1] for each in found if each and each[2] not in OF_FEW}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_deployments_are_read_from_beginning_to_end(
    connection: sqlite3.Connection, statement: str
) -> None:
    sql = {**statements(SQL, "reader"), **statements(SQL, "deployments")}[statement]
    assert scanned(connection, sql) <= SMALL


def test_a_whole_scan_would_be_noticed(connection: sqlite3.Connection) -> None:
    assert scanned(connection, "SELECT id FROM tb_deployments AS d WHERE release = :a") == {"d"}

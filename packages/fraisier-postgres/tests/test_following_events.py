"""Whoever follows the events by their number misses none, whatever the order in which transactions commit."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from tests.postgres import every_postgres
from tests.postgres_sql import configure, request, run, set_up

Connection = psycopg.Connection[Any]
WRITERS = ("left", "middle", "right")


@pytest.fixture
def connections(store_url: str) -> Iterator[list[Connection]]:
    """A follower and three writers, each of which has an environment of its own."""
    with ExitStack() as opened:
        found = [opened.enter_context(psycopg.connect(store_url, autocommit=True)) for _ in range(4)]
        set_up(found[0])
        configure(found[0], *(("shop", each) for each in WRITERS))
        yield found


class Follower:
    """Reads what is new, and keeps the numbers."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.seen: list[int] = []

    def read(self, limit: int = 100) -> list[int]:
        """Return the numbers of the events since the last call."""
        after = self.seen[-1] if self.seen else 0
        new = [row[0] for row in run(self.connection, "events", after=after, limit=limit)]
        self.seen += new
        return new


def test_an_event_that_commits_first_waits_for_those_of_lower_number(connections: list[Connection]) -> None:
    reader, slow, quick, _ = connections
    follower = Follower(reader)
    slow.execute("BEGIN")
    request(slow, "shop", "left")
    request(quick, "shop", "middle")
    assert follower.read() == []
    assert run(reader, "changes", after=0, limit=9).fetchall() == []
    slow.execute("COMMIT")
    assert follower.read() == [1, 2]
    assert [row[0] for row in run(reader, "changes", after=0, limit=9)] == [1, 2]


def test_the_one_that_began_later_may_have_taken_the_lower_number(connections: list[Connection]) -> None:
    reader, older, younger, _ = connections
    follower = Follower(reader)
    for each in (older, younger):
        each.execute("BEGIN")
        each.execute("SELECT pg_current_xact_id()")
    request(younger, "shop", "middle")
    request(older, "shop", "left")
    older.execute("COMMIT")
    assert follower.read() == []
    younger.execute("COMMIT")
    assert follower.read() == [1, 2]


def test_numbers_before_an_open_transaction_are_read(connections: list[Connection]) -> None:
    reader, open_one, other, _ = connections
    follower = Follower(reader)
    request(other, "shop", "middle")
    open_one.execute("BEGIN")
    request(open_one, "shop", "left")
    assert follower.read() == [1]


def test_numbers_of_a_transaction_that_was_rolled_back_hold_nobody_up(connections: list[Connection]) -> None:
    reader, given_up, other, _ = connections
    follower = Follower(reader)
    given_up.execute("BEGIN")
    request(given_up, "shop", "left")
    request(other, "shop", "middle")
    given_up.execute("ROLLBACK")
    assert follower.read() == [2]


def test_a_savepoint_that_was_rolled_back_leaves_the_rest_of_its_transaction_announced(
    connections: list[Connection],
) -> None:
    reader, slow, other, _ = connections
    follower = Follower(reader)
    slow.execute("BEGIN")
    slow.execute("SAVEPOINT item")
    request(slow, "shop", "left")
    slow.execute("ROLLBACK TO item")
    request(slow, "shop", "left")
    request(other, "shop", "middle")
    assert follower.read() == []
    slow.execute("COMMIT")
    assert follower.read() == [2, 3]


def test_one_who_begins_to_follow_sees_what_was_under_way(connections: list[Connection]) -> None:
    reader, slow, other, _ = connections
    slow.execute("BEGIN")
    request(slow, "shop", "left")
    request(other, "shop", "middle")
    (begin, *_), *_ = run(reader, "last_event").fetchall()
    slow.execute("COMMIT")
    assert [row[0] for row in run(reader, "events", after=begin, limit=9)] == [1, 2]


@every_postgres
def test_none_is_missed_in_any_order(connections: list[Connection]) -> None:
    chosen = random.Random(os.environ["FRAISIER_SEED"])
    reader, *writers = connections
    follower = Follower(reader)
    for _ in range(300):
        writer = chosen.randrange(3)
        _do_something(writers[writer], WRITERS[writer], chosen)
        follower.read(limit=chosen.choice([1, 100]))
    for writer in range(3):
        if writers[writer].info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            writers[writer].execute("COMMIT")
    while follower.read():
        pass
    every = [row[0] for row in reader.execute("SELECT sequence FROM tb_deployment_events ORDER BY sequence")]
    assert follower.seen == every
    assert len(every) > 10


def _do_something(writer: Connection, environment: str, chosen: random.Random) -> None:
    if writer.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        writer.execute("BEGIN")
        return
    done = chosen.choice(["request", "request", "undone request", "number", "COMMIT", "ROLLBACK"])
    if done == "number":
        writer.execute("SELECT pg_current_xact_id()")
    elif done == "undone request":
        writer.execute("SAVEPOINT item")
        request(writer, "shop", environment)
        writer.execute("ROLLBACK TO item")
    elif done == "request":
        request(writer, "shop", environment)
    else:
        writer.execute(done.encode())

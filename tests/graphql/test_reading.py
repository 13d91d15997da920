"""Reading beside the event loop: what takes too long is given up, and holds up nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest
from fraisier_core.errors import UnreachableStoreError
from fraisier_core.store.protocol import Reader
from fraisier_graphql.reading import THREADS, Readers
from fraisier_graphql.request_errors import RequestError

from tests.databases import Database, both_databases

ENDLESS = """WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
SELECT count(*) AS answer FROM n WHERE i < 0"""
SHORT = "SELECT '7' AS answer"


@pytest.fixture
def made(database: Database) -> Iterator[Database]:
    with closing(database.open()):
        yield database


async def codes(readers: Readers, *statements: str) -> list[str]:
    found = await asyncio.gather(*(readers.answer(each, {}) for each in statements), return_exceptions=True)
    return [each.code if isinstance(each, RequestError) else str(each) for each in found]


@both_databases
def test_what_takes_too_long_is_given_up_and_its_connection_is_of_use_again(made: Database) -> None:
    with closing(Readers(made.open, seconds=0.5)) as readers:
        assert asyncio.run(codes(readers, *[ENDLESS] * THREADS)) == ["TIMEOUT"] * THREADS
    patient = Readers(made.open, seconds=0.5)
    with closing(patient):
        assert asyncio.run(codes(patient, ENDLESS)) == ["TIMEOUT"]
        assert "7" in [asyncio.run(codes(patient, SHORT))[0] for _ in range(5)]


@both_databases
def test_a_slow_statement_holds_up_neither_the_loop_nor_another(made: Database) -> None:
    async def ask(readers: Readers) -> list[str]:
        slow = asyncio.create_task(codes(readers, ENDLESS))
        await asyncio.sleep(0)
        first = await codes(readers, SHORT)
        assert not slow.done()
        return [*first, *await slow]

    with closing(Readers(made.open, seconds=2.0)) as readers:
        assert asyncio.run(ask(readers)) == ["7", "TIMEOUT"]


@both_databases
def test_nobody_waits_for_who_writes(made: Database) -> None:
    with closing(made.open()) as writer, closing(Readers(made.open)) as readers:

        def read_meanwhile() -> str:
            return asyncio.run(readers.answer(SHORT, {}))

        assert writer._connection.transact(read_meanwhile) == "7"


def test_a_store_that_cannot_be_opened_is_tried_again(made: Database) -> None:
    opened: list[Reader] = []

    def open_reader() -> Reader:
        if not opened:
            opened.append(made.open())
            raise UnreachableStoreError("the store is away")
        return opened[0]

    with closing(Readers(open_reader)) as readers:
        assert asyncio.run(codes(readers, SHORT)) == ["SERVICE_UNAVAILABLE"]
        assert asyncio.run(codes(readers, SHORT)) == ["7"]


def test_a_statement_that_fails_is_an_error_of_the_database(made: Database) -> None:
    with closing(Readers(made.open)) as readers:
        assert asyncio.run(codes(readers, "SELECT nothing FROM nowhere")) == ["DATABASE_ERROR"]
        assert asyncio.run(codes(readers, SHORT)) == ["7"]

"""One connection of an event loop, and several who use it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import pytest
from fraisier_core import UnreachableStoreError
from fraisier_postgres.async_client import AsyncClient

SLOW = "SELECT 1 AS one FROM pg_sleep(0.5)"


@pytest.mark.parametrize("hurried", [1, 2, 5])
def test_whoever_waits_no_longer_for_a_turn_leaves_the_connection_to_who_uses_it(
    postgres_url: str, hurried: int
) -> None:
    async def ask() -> list[Any]:
        with closing(AsyncClient(postgres_url)) as client:
            await client.all("SELECT 1")
            asked = [client.within(0.1, client.all("SELECT 2")) for _ in range(hurried)]
            return await asyncio.gather(client.within(30, client.all(SLOW)), *asked, return_exceptions=True)

    answer, *others = asyncio.run(ask())
    assert answer == [{"one": 1}]
    assert {type(each) for each in others} == {UnreachableStoreError}


def test_what_waits_behind_a_statement_that_was_given_up_is_answered(postgres_url: str) -> None:
    async def ask() -> list[Any]:
        with closing(AsyncClient(postgres_url)) as client:
            asked = [client.within(30, client.all("SELECT 1 AS one")) for _ in range(3)]
            slow = client.within(0.3, client.all("SELECT pg_sleep(60)"))
            return await asyncio.gather(slow, *asked, return_exceptions=True)

    given_up, *answers = asyncio.run(ask())
    assert isinstance(given_up, UnreachableStoreError)
    assert answers == [[{"one": 1}]] * 3

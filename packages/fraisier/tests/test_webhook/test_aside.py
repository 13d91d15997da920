"""What is asked of the store in a thread, by several at once."""

from __future__ import annotations

import asyncio

import pytest
from fraisier.aside import Aside


async def ask(aside: Aside[str], times: int) -> list[str]:
    return [await aside() for _ in range(times)]


async def ask_at_once(aside: Aside[str], *clients: int) -> list[list[str]]:
    return await asyncio.gather(*(ask(aside, times) for times in clients))


@pytest.mark.parametrize("clients", [(2, 1), (2, 2), (9, 5, 3)])
def test_everyone_who_asks_is_answered_whoever_asks_again_meanwhile(clients: tuple[int, ...]) -> None:
    aside = Aside(lambda: "fine")
    answers = asyncio.run(ask_at_once(aside, *clients))
    assert answers == [["fine"] * times for times in clients]

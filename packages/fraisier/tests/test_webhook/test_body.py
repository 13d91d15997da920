"""Bodies that take their time."""

from __future__ import annotations

import asyncio

import pytest
from fraisier.body import BodyReader, ClientGoneError
from starlette.exceptions import HTTPException
from starlette.types import Message


class Sender:
    """A client that sends these pieces, and then nothing more, or hangs up."""

    def __init__(self, *pieces: bytes, hangs_up: bool = False) -> None:
        self._pieces = list(pieces)
        self._hangs_up = hangs_up

    async def receive(self) -> Message:
        if self._pieces:
            return {"type": "http.request", "body": self._pieces.pop(0), "more_body": True}
        if self._hangs_up:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("pieces", [(), (b"{",), (b"x" * 2_000_000, b"x")])
def test_a_body_that_does_not_arrive_in_time_is_refused(pieces: tuple[bytes, ...]) -> None:
    bodies = BodyReader(seconds=0.05)
    for _ in range(10):  # more than may be held at once: each gives up its place
        with pytest.raises(HTTPException) as refusal:
            asyncio.run(bodies.read({}, Sender(*pieces).receive))
        assert refusal.value.status_code == 408
        assert refusal.value.detail == "the body took longer than 0.05 s"


@pytest.mark.parametrize("pieces", [(), (b"{",)])
def test_a_client_that_hangs_up_is_told_from_one_that_has_sent_all(pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(ClientGoneError):
        asyncio.run(BodyReader().read({}, Sender(*pieces, hangs_up=True).receive))

"""Reading the bodies of unverified senders, within limits of size, time and number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from fraisier.bounded_connection import is_complete
from fraisier.responses import unavailable

MAX_BODY_BYTES = 25_000_000
BODY_SECONDS = 15.0
INCOMPLETE_BYTES = 100_000_000
LARGE_BYTES = 1_000_000


def is_large(body: bytes) -> bool:
    """Whether a body takes so long to judge that others must be answered meanwhile."""
    return len(body) > LARGE_BYTES


class ClientGoneError(Exception):
    """The client hung up before its body was complete."""


@dataclass(eq=False, slots=True)
class _Incomplete:
    """A body of which more is to come: when its last piece came, and whether it has given way to another."""

    clock: asyncio.Timeout
    body: BytesIO = field(default_factory=BytesIO)  # which gives away what it holds without a copy
    came: float = 0.0
    gave_way: bool = False

    def take(self, piece: bytes) -> int:
        """Take a piece, and return its size."""
        self.came = time.monotonic()
        return self.body.write(piece)

    def give_way(self) -> int:
        """End the wait for more, and return how many bytes that frees."""
        self.gave_way = True
        if not self.clock.expired():
            self.clock.reschedule(0)
        return self.body.tell()


class BodyReader:
    """Reads bodies of at most `MAX_BODY_BYTES`, each within some seconds. All bodies that are incomplete, or
    complete and `held`, have at most `INCOMPLETE_BYTES` together, so that unverified senders cannot fill the
    memory: of those that are incomplete, the one gives way of which the most bytes have waited for more for
    the longest time. An ordinary delivery comes in one piece and never waits for them.
    """

    def __init__(self, seconds: float = BODY_SECONDS) -> None:
        self._seconds = seconds
        self._held = 0
        self._incomplete: set[_Incomplete] = set()

    async def read(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """Return the body of a request. Raises `HTTPException` (408, 413 or 503), or `ClientGoneError`."""
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise _too_large()
        if is_complete(receive):  # a clock for each ordinary delivery would cost a twentieth of it
            return bytes((await _next_message(receive)).get("body", b""))
        incomplete = _Incomplete(asyncio.timeout(self._seconds))
        try:
            async with incomplete.clock:
                return await self._received(receive, incomplete)
        except TimeoutError:
            if incomplete.gave_way:
                raise _busy() from None
            raise HTTPException(408, f"the body took longer than {self._seconds:g} s") from None

    async def _received(self, receive: Receive, incomplete: _Incomplete) -> bytes:
        message = await _next_message(receive)
        if not message.get("more_body", False):
            return bytes(message.get("body", b""))
        body = incomplete.body
        self._incomplete.add(incomplete)
        try:
            self._hold(incomplete, message)
            while message.get("more_body", False):
                message = await _next_message(receive)
                self._hold(incomplete, message)
            return body.getvalue()
        finally:
            self._incomplete.discard(incomplete)
            self._held -= 0 if incomplete.gave_way else body.tell()
            body.close()  # a refusal's traceback would hold on to it

    def _hold(self, incomplete: _Incomplete, message: Message) -> None:
        if incomplete.gave_way:
            raise _busy()
        self._held += incomplete.take(message.get("body", b""))
        if incomplete.body.tell() > MAX_BODY_BYTES:
            raise _too_large()
        now = incomplete.came
        while self._held > INCOMPLETE_BYTES:
            longest = max(self._incomplete, key=lambda each: (now - each.came) * each.body.tell())
            self._incomplete.discard(longest)
            self._held -= longest.give_way()
            if longest is incomplete:
                raise _busy()

    @contextmanager
    def held(self, body: bytes) -> Iterator[None]:
        """Count a large body that waits, once it is complete, to be verified and stored."""
        self._held += len(body)
        try:
            yield
        finally:
            self._held -= len(body)


async def _next_message(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    return message


def _busy() -> HTTPException:
    return unavailable("server busy: too many bytes in flight")


def _too_large() -> HTTPException:
    return HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes")

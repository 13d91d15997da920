"""Reading the bodies of unverified senders, within limits of size, time and number."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from fraisier.bounded_connection import is_complete
from fraisier.responses import unavailable

MAX_BODY_BYTES = 25_000_000
BODY_SECONDS = 15.0
INCOMPLETE_BYTES = 100_000_000
LARGE_BYTES = 1_000_000


class ClientGoneError(Exception):
    """The client hung up before its body was complete."""


class BodyReader:
    """Reads bodies of at most `MAX_BODY_BYTES`, each within some seconds. All bodies that are incomplete, or
    complete and `held`, have at most `INCOMPLETE_BYTES` together, so that unverified senders cannot fill the
    memory; an ordinary delivery comes in one piece and never waits for them.
    """

    def __init__(self, seconds: float = BODY_SECONDS) -> None:
        self._seconds = seconds
        self._held = 0

    async def read(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """Return the body of a request. Raises `HTTPException` (408, 413 or 503), or `ClientGoneError`."""
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise _too_large()
        if is_complete(receive):  # a clock for each ordinary delivery would cost a twentieth of it
            return await self._received(receive)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._received(receive)
        except TimeoutError:
            raise HTTPException(408, f"the body took longer than {self._seconds:g} s") from None

    async def _received(self, receive: Receive) -> bytes:
        message = await _next_message(receive)
        if not message.get("more_body", False):
            return bytes(message.get("body", b""))
        body = BytesIO()  # which gives away what it holds without a copy
        try:
            self._hold(body, message)
            while message.get("more_body", False):
                message = await _next_message(receive)
                self._hold(body, message)
            return body.getvalue()
        finally:
            self._held -= body.tell()
            body.close()  # a refusal's traceback would hold on to it

    def _hold(self, body: BytesIO, message: Message) -> None:
        self._held += body.write(message.get("body", b""))
        if body.tell() > MAX_BODY_BYTES:
            raise _too_large()
        if self._held > INCOMPLETE_BYTES:
            raise unavailable("server busy: too many bytes in flight")

    @contextmanager
    def held(self, body: bytes) -> Iterator[None]:
        """Count a body that waits, once it is complete, to be verified and stored."""
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


def _too_large() -> HTTPException:
    return HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes")

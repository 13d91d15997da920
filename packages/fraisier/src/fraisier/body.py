"""Reading the bodies of unverified senders, within limits of size, time and number."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from fraisier.bounded_connection import is_complete
from fraisier.responses import unavailable

MAX_BODY_BYTES = 25_000_000
BODY_SECONDS = 15.0
INCOMPLETE_BYTES = 100_000_000


class ClientGoneError(Exception):
    """The client hung up before its body was complete."""


class BodyReader:
    """Reads bodies of at most `MAX_BODY_BYTES`.

    All bodies that are incomplete together hold at most `INCOMPLETE_BYTES`, so that unverified senders cannot
    fill the memory; an ordinary delivery comes in one piece and never waits for them.

    Args:
        seconds: how long a body may take.
    """

    def __init__(self, seconds: float = BODY_SECONDS) -> None:
        self._seconds = seconds
        self._held = 0

    async def read(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """Return the body of a request.

        Raises `HTTPException` (408, 413 or 503), or `ClientGoneError`.
        """
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise _too_large()
        if is_complete(receive):  # a clock for each ordinary delivery would cost a twentieth of it
            return bytes((await _received(receive)).get("body", b""))
        try:
            async with asyncio.timeout(self._seconds):
                message = await _received(receive)
                if not message.get("more_body", False):
                    return bytes(message.get("body", b""))
                return await self._rest(message, receive)
        except TimeoutError:
            raise HTTPException(408, f"the body took longer than {self._seconds:g} s") from None

    async def _rest(self, message: Message, receive: Receive) -> bytes:
        body = bytearray()
        try:
            while True:
                self._hold(body, message.get("body", b""))
                if not message.get("more_body", False):
                    return bytes(body)
                message = await _received(receive)
        finally:
            self._held -= len(body)
            body.clear()  # a refusal's traceback would hold on to it

    def _hold(self, body: bytearray, piece: bytes) -> None:
        body += piece
        self._held += len(piece)
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        if self._held > INCOMPLETE_BYTES:
            raise unavailable("server busy: too many bytes in flight")


async def _received(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    return message


def _too_large() -> HTTPException:
    return HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes")

"""What is sent over one WebSocket, in order, and how it is closed."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from fraisier_graphql.socket_messages import CloseCode

MAX_QUEUED = 1_000_000
"""Of what waits to be sent over one socket, in characters."""
MAX_REASON_BYTES = 123
"""Of why a socket is closed (RFC 6455, 5.5)."""
GONE = (OSError, RuntimeError)
"""What sending raises once the client has gone away, or has begun to; `receive` says so, too."""


class SocketWriter:
    """Sends messages one after the other, as fast as the client reads.

    Args:
        send: of the ASGI connection.
    """

    def __init__(self, send: Any) -> None:
        self.is_closing = False
        self._send = send
        self._queue: deque[str] = deque()
        self._queued = 0
        self._writing: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether everything is sent."""
        return not self._queue

    def put(self, message: str) -> None:
        """Send a message once those before it are sent; a client that reads too slowly is closed."""
        if self.is_closing:
            return
        self._queue.append(message)
        self._queued += len(message)
        if self._queued > MAX_QUEUED:
            self.close(CloseCode.TRY_AGAIN_LATER, "too slow: subscribe again from the last position")
        elif self._writing is None:
            self._writing = asyncio.create_task(self._write())

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the socket at once; what was not sent yet is lost."""
        if self.is_closing:
            return
        self.is_closing = True
        if self._writing is not None:
            self._writing.cancel()
        self._queue.clear()
        self._writing = asyncio.create_task(self.send_close(code, reason))

    async def send_close(self, code: CloseCode, reason: str) -> None:
        """Say why the socket is closed."""
        brief = reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")
        with suppress(*GONE):
            await self._send({"type": "websocket.close", "code": int(code), "reason": brief})

    async def end(self) -> None:
        """Wait until nothing is being sent."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write(self) -> None:
        try:
            while self._queue:
                message = self._queue[0]
                await self._send({"type": "websocket.send", "text": message})
                self._queue.popleft()
                self._queued -= len(message)
        except GONE:
            self.is_closing = True
        self._writing = None

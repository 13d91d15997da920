"""HTTP connections that no client can hold open or use to fill the memory."""

from __future__ import annotations

import asyncio

from starlette.types import Receive
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


def is_complete(receive: Receive) -> bool:
    """Whether the body behind an ASGI `receive` has arrived, so that there is nothing to wait for."""
    cycle = getattr(receive, "__self__", None)
    return isinstance(cycle, RequestResponseCycle) and not cycle.more_body


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection, ended if a request is too large or its head too long in coming (slowloris).
    uvicorn bounds neither, nor how many requests may wait behind one that is being answered. A request that
    arrives in one piece costs next to nothing more: the clock runs only while a head is incomplete.
    """

    max_connections = 500
    head_seconds = 10.0
    head_bytes = 65_536
    request_bytes = 64_000_000
    max_waiting = 20

    _deadline: asyncio.TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        self._await_head()
        if len(self.connections) > self.max_connections:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._stop_clock()

    def on_message_begin(self) -> None:
        """Begin to read a request; the parser answers the exception with 400 and closes."""
        if len(self.pipeline) >= self.max_waiting:
            raise ValueError("too many requests at once")
        super().on_message_begin()

    def data_received(self, data: bytes) -> None:
        """Take what has come, and end the connection if it is too much for what it is a part of."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:  # the head is complete
            self._stop_clock()
            self._received = 0
            return
        in_head = before is None or before.response_complete
        if in_head and self._deadline is None:
            self._await_head()
        self._received += len(data)
        if self._received > (self.head_bytes if in_head else self.request_bytes):
            self.transport.abort()

    def _await_head(self) -> None:
        self._received = 0
        self._deadline = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

"""HTTP connections that no client can hold open or use to fill the memory."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable

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
    waiting_since = 0.0
    _is_upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; if there are too many, drop the one that keeps us waiting most."""
        super().connection_made(transport)
        self.waiting_since = self.loop.time()
        self._await_head()
        if len(self.connections) > self.max_connections:
            others = [each for each in self.connections if isinstance(each, BoundedConnection)]
            if len(others) > self.max_connections:  # WebSockets, which are bounded elsewhere, left out
                (_most_waited_for(others, self.waiting_since) or self).transport.abort()

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
        if self.cycle is not before or self._is_upgraded:  # the head is complete
            self._stop_clock()
            self._received = 0
            return
        in_head = before is None or before.response_complete
        if in_head and self._deadline is None:
            self._await_head()
        self._received += len(data)
        if self._received > (self.head_bytes if in_head else self.request_bytes):
            self.transport.abort()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to a WebSocket."""
        self._is_upgraded = True
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        """Wait for the next request, or begin with the one that has come meanwhile."""
        super().on_response_complete()
        self.waiting_since = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        """Respond in JSON, as to every other error, and close."""
        body = json.dumps({"error": msg}).encode()
        head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()

    @property
    def peer(self) -> str:
        """The address of the client; empty if there is none."""
        return self.client[0] if self.client else ""

    @property
    def is_waiting(self) -> bool:
        """Whether the client has to send more before there is anything to answer."""
        if self.transport.is_closing() or self.pipeline:
            return False
        return self.cycle is None or self.cycle.more_body or self.cycle.response_complete

    def _await_head(self) -> None:
        self._received = 0
        self._deadline = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _most_waited_for(connections: Iterable[BoundedConnection], now: float) -> BoundedConnection | None:
    """Return which of the connections whose client must send more has waited longest, the time counted for
    each connection of its address: neither many addresses nor many connections of one keep others out.
    """
    waiting = [each for each in connections if each.is_waiting and each.waiting_since < now]
    of_address = Counter(each.peer for each in waiting)
    return max(waiting, key=lambda each: (now - each.waiting_since) * of_address[each.peer], default=None)

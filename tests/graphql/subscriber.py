"""A client that speaks graphql-transport-ws, message by message."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

SECONDS = 60.0
PROTOCOL = "graphql-transport-ws"
CHANGES = "subscription ($since: Int) { deploymentStatusChanged(since: $since) { id status position } }"


class Subscriber:
    """One socket.

    Args:
        socket: is open.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.early: deque[Any] = deque()

    def send(self, message: object) -> None:
        """Send a message, text as it is."""
        self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def begin(self, token: str | None = None) -> Subscriber:
        """Be admitted."""
        payload = {"payload": {"Authorization": f"Bearer {token}"}} if token else {}
        self.send({"type": "connection_init", **payload})
        assert self.receive() == {"type": "connection_ack"}
        return self

    def subscribe(self, query: str, id_: str = "1", **variables: Any) -> None:
        """Subscribe to something, or ask for it, and return once that is under way."""
        payload = {"query": query, "variables": variables}
        self.send({"id": id_, "type": "subscribe", "payload": payload})
        self.send({"type": "ping"})
        while (message := self._next()) != {"type": "pong"}:
            self.early.append(message)

    def receive(self) -> Any:
        """Return the next message."""
        return self.early.popleft() if self.early else self._next()

    def _next(self) -> Any:
        return json.loads(self.socket.recv(SECONDS))

    def told(self, count: int) -> list[Any]:
        """Return the next answers, each the value of its only field."""
        found: list[Any] = []
        while len(found) < count:
            message = self.receive()
            if message["type"] == "ping":  # fraiseql-server asks whether the client is still there
                self.send({"type": "pong"})
                continue
            assert message["type"] == "next", message
            found += message["payload"]["data"].values()
        return found

    def closed(self) -> tuple[int, str]:
        """Return the code and the reason with which the server closes."""
        with suppress(ConnectionClosed):
            while True:
                self.socket.recv(SECONDS)
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@contextmanager
def subscriber(url: str, *protocols: str, **settings: Any) -> Iterator[Subscriber]:
    """Open a socket to an API."""
    address = f"{url.replace('http', 'ws', 1)}/ws"
    with connect(
        address, subprotocols=[*(protocols or [PROTOCOL])], proxy=None, open_timeout=SECONDS, **settings
    ) as socket:
        yield Subscriber(socket)

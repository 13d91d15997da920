"""Hearing what is new of one deployment on another machine, by its WebSocket (graphql-transport-ws)."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from fraisier_core.system.timing import FOLLOW
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from fraisier.remote import remote_documents as documents
from fraisier.remote.remote_place import RemotePlace
from fraisier.remote.remote_reader import RemoteReader

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

PROTOCOL = Subprotocol("graphql-transport-ws")
LONGEST_MESSAGE = 16_000_000
SECONDS = 10.0
POLL = 1.0
AGAIN = 10.0


class RemoteChanges:
    """Tells a reader what is new of a deployment; it looks once a second while there is no WebSocket."""

    def __init__(self, place: RemotePlace, reader: RemoteReader, deployment_id: str) -> None:
        self._place = place
        self._reader = reader
        self._id = deployment_id
        self._socket: ClientConnection | None = None
        self._opened = ExitStack()
        self._try_again = 0.0
        self._is_over = False

    def wait(self) -> None:
        """Return once something may be new, or after a moment."""
        try:
            for message in self._received():
                self._take(message)
        except (OSError, WebSocketException, ValueError, KeyError):
            self.close()
            self._is_over = False
            self._try_again = time.monotonic() + AGAIN
        if self._socket is None:
            time.sleep(POLL)
            self._reader.forget(self._id)

    def close(self) -> None:
        """Hear no more."""
        with suppress(OSError, WebSocketException):
            self._opened.close()
        self._socket = None

    def _received(self) -> Iterator[dict[str, Any]]:
        """Yield the messages that have come, those of the first moment together."""
        if self._is_over:
            raise ValueError("nothing more is told, but the deployment has not ended")
        if self._socket is None and time.monotonic() >= self._try_again:
            self._socket = self._connected()
        timeout = FOLLOW
        with suppress(TimeoutError):
            while self._socket is not None:
                yield _message(self._socket.recv(timeout))
                timeout = 0

    def _connected(self) -> ClientConnection:
        place = self._place
        with ExitStack() as opened:
            client = opened.enter_context(
                connect(
                    place.socket_url,
                    subprotocols=[PROTOCOL],
                    ssl=ssl.create_default_context() if place.is_encrypted else None,
                    open_timeout=SECONDS,
                    close_timeout=1,
                    compression=None,
                    max_size=LONGEST_MESSAGE,
                )
            )
            self._begin(client)
            self._subscribe(client)
            self._opened = opened.pop_all()
        return client

    def _begin(self, opened: ClientConnection) -> None:
        """Be admitted."""
        token = self._place.token()
        payload = {"Authorization": f"Bearer {token}"} if token else {}
        opened.send(json.dumps({"type": "connection_init", "payload": payload}))
        while _message(opened.recv(SECONDS)).get("type") != "connection_ack":
            pass

    def _subscribe(self, opened: ClientConnection) -> None:
        """Ask for what comes after that which the reader knows; what came before is not repeated."""
        events = [each.sequence for each in self._reader.events(deployment_id=self._id)]
        output = [each.sequence for each in self._reader.log(self._id)]
        for name, document, known in (
            ("events", documents.EVENTS, events),
            ("output", documents.OUTPUT, output),
        ):
            variables = {"id": self._id, "after": known[-1] if known else 0}
            payload = {"query": document, "variables": variables}
            opened.send(json.dumps({"id": name, "type": "subscribe", "payload": payload}))

    def _take(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "ping" and self._socket is not None:
            self._socket.send(json.dumps({"type": "pong"}))
        elif kind == "next" and message["id"] == "output":
            self._take_output(message["payload"].get("data") or {})
        elif kind == "next":
            self._reader.forget(self._id)
        elif kind == "complete":
            self._reader.forget(self._id)
            self._is_over = message["id"] == "events"
        elif kind == "error":
            raise ValueError("a subscription is refused")

    def _take_output(self, data: dict[str, Any]) -> None:
        if row := data.get("deploymentOutput"):
            self._reader.add_output(self._id, row)
        else:
            self._reader.forget(self._id)


def _message(text: str | bytes) -> dict[str, Any]:
    """Return a message of the protocol. Raises `ValueError`."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("no message of graphql-transport-ws")
    return found

"""What clients ask for over their sockets, each under an id."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fraisier_core import Grant

from fraisier_graphql.executing import Request
from fraisier_graphql.follower import Subscription
from fraisier_graphql.request_errors import RequestError
from fraisier_graphql.socket_messages import CloseCode
from fraisier_graphql.subscribing import subscription_of

if TYPE_CHECKING:
    from fraisier_graphql.sockets import Socket


class Operation:
    """What a client asked for under an id, until it is complete: implements `follower.Listener`."""

    def __init__(self, socket: Socket, name: str) -> None:
        self._socket = socket
        self._name = name
        self._id = json.dumps(name)
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        socket.operations[name] = self

    async def begin(self, request: Request, grant: Grant) -> None:
        """Execute a request, or subscribe to what it names. Raises `RequestError`, `RefusedDocumentError`,
        `StoreError`.
        """
        executor = self._socket.endpoint.executor
        compiled = await executor.prepare(request, grant)
        if compiled.operation != "subscription":
            self._task = asyncio.create_task(self._execute(request, grant))
            return
        subscription = await subscription_of(compiled, grant, executor, self)
        await self._socket.endpoint.follower.add(subscription)
        self._subscription = subscription

    async def _execute(self, request: Request, grant: Grant) -> None:
        try:
            result = await self._socket.endpoint.executor.execute(request, grant)
            self.next([result.body.decode()])
            self.complete()
        finally:
            if self._is_open():  # an error of this server, which is logged as the task's
                self.fail()

    def end(self) -> None:
        """Send no more of it."""
        self._socket.operations.pop(self._name, None)
        if self._subscription is not None:
            self._socket.endpoint.follower.remove(self._subscription)
        elif self._task is not None:
            self._task.cancel()

    @property
    def is_ready(self) -> bool:
        """Whether everything that was told so far is sent."""
        return self._socket.is_ready

    def next(self, answers: list[str]) -> None:
        """Send answers."""
        if self._is_open():
            for answer in answers:
                self._socket.put(f'{{"id":{self._id},"type":"next","payload":{answer}}}')

    def complete(self) -> None:
        """Say that no more will come."""
        if self._is_open():
            self._close({"type": "complete"})

    def refuse(self, errors: Sequence[RequestError]) -> None:
        """Say why it is not executed."""
        self._close({"type": "error", "payload": [error.formatted() for error in errors]})

    def fail(self) -> None:
        """Close the socket, so that the client subscribes again."""
        self._socket.close(CloseCode.INTERNAL_ERROR, "subscribe again from the last position")

    def _close(self, message: Mapping[str, Any]) -> None:
        self._socket.operations.pop(self._name, None)
        self._socket.put(json.dumps({"id": self._name, **message}))

    def _is_open(self) -> bool:
        return self._socket.operations.get(self._name) is self

"""GraphQL over a WebSocket: the protocol graphql-transport-ws."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from fraisier_core import ADMIT, Gate, Grant, StoreError, UnauthenticatedError, token_of_payload

from fraisier_graphql.endpoint import request_of
from fraisier_graphql.executing import Executor, Request
from fraisier_graphql.follower import Follower
from fraisier_graphql.request_errors import RefusedDocumentError, RequestError, of_fraisier
from fraisier_graphql.socket_messages import CloseCode, ClosingError, id_of, parsed
from fraisier_graphql.socket_writer import SocketWriter
from fraisier_graphql.subscribing import subscription_of
from fraisier_graphql.subscriptions import Subscription

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 5.0
WATCH_SECONDS = 1.0
MAX_OPERATIONS = 100
ENDED = "the token was revoked or has expired"


class SocketEndpoint:
    """An ASGI app that answers what clients ask over WebSockets.

    Args:
        executor: executes queries and mutations, and compiles subscriptions.
        follower: tells the subscribers.
        gate: says which clients may no longer stay.
        init_seconds: how long a client may take until it is admitted.
    """

    def __init__(
        self, executor: Executor, follower: Follower, gate: Gate, init_seconds: float = INIT_SECONDS
    ) -> None:
        self.executor = executor
        self.follower = follower
        self.init_seconds = init_seconds
        self._gate = gate
        self._sockets: set[Socket] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket."""
        if scope["type"] != "websocket":
            headers = [(b"upgrade", b"websocket"), (b"connection", b"upgrade"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 426, "headers": headers})
            await send({"type": "http.response.body"})
            return
        socket = Socket(self, scope[ADMIT], receive, send)
        self._sockets.add(socket)
        try:
            await socket.serve(scope["subprotocols"])
        finally:
            self._sockets.discard(socket)

    async def require(self, grant: Grant) -> None:
        """Raise `ClosingError` if a client may no longer stay, and `StoreError`."""
        if await self._gate.ended({grant}):
            raise ClosingError(CloseCode.FORBIDDEN, ENDED)

    async def watch(self) -> None:
        """Close, again and again, the sockets of clients whose tokens were revoked or have expired."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            grants = {socket.grant for socket in self._sockets if socket.grant is not None}
            try:
                ended = await self._gate.ended(grants)
            except StoreError:
                continue
            for socket in [*self._sockets]:
                if socket.grant in ended:
                    socket.writer.close(CloseCode.FORBIDDEN, ENDED)


class Socket:
    """One client's socket."""

    def __init__(
        self,
        endpoint: SocketEndpoint,
        admit: Callable[[str | None], Coroutine[Any, Any, Grant]],
        receive: Any,
        send: Any,
    ) -> None:
        self.grant: Grant | None = None
        self.endpoint = endpoint
        self.operations: dict[str, Operation] = {}
        self._admit = admit
        self._receive = receive
        self._send = send
        self.writer = SocketWriter(send)
        self._is_initialised = False

    async def serve(self, offered: list[str]) -> None:
        """Speak with the client until one side closes."""
        await self._receive()
        if PROTOCOL not in offered:
            await self._send({"type": "websocket.accept"})
            await self.writer.send_close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
            return
        await self._send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        timeout = partial(
            self.writer.close, CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout"
        )
        deadline = asyncio.get_running_loop().call_later(self.endpoint.init_seconds, timeout)
        try:
            await self._read(deadline)
        finally:
            deadline.cancel()
            for operation in [*self.operations.values()]:
                operation.end()
            await self.writer.end()

    async def _read(self, deadline: asyncio.TimerHandle) -> None:
        while (message := await self._receive())["type"] != "websocket.disconnect":
            if self.writer.is_closing:
                continue
            try:
                await self._take(parsed(message.get("text")))
            except ClosingError as error:
                self.writer.close(error.code, str(error))
            if self.grant is not None:
                deadline.cancel()

    async def _take(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "connection_init":
            await self._initialise(message.get("payload"))
        elif kind == "ping":
            self.writer.put('{"type":"pong"}')
        elif kind == "subscribe":
            await self._subscribe(message)
        elif kind == "complete":
            if operation := self.operations.get(id_of(message)):
                operation.end()
        elif kind != "pong":
            raise ClosingError(CloseCode.BAD_REQUEST, "Invalid message: its type is unknown")

    async def _initialise(self, payload: object) -> None:
        if self._is_initialised:
            raise ClosingError(CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests")
        self._is_initialised = True
        try:
            self.grant = await self._admit(token_of_payload(payload))
        except UnauthenticatedError:
            raise ClosingError(CloseCode.FORBIDDEN, "Forbidden") from None
        except StoreError:
            raise ClosingError(CloseCode.TRY_AGAIN_LATER, "the store cannot be read") from None
        self.writer.put('{"type":"connection_ack"}')

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        if self.grant is None:
            raise ClosingError(CloseCode.UNAUTHORIZED, "Unauthorized")
        name = id_of(message)
        if name in self.operations:
            raise ClosingError(CloseCode.SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {name} already exists")
        payload = message.get("payload")
        if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
            raise ClosingError(
                CloseCode.BAD_REQUEST, "Invalid message: subscribe needs a payload with a query"
            )
        operation = Operation(self, name)
        try:
            if len(self.operations) > MAX_OPERATIONS:
                raise RequestError(
                    "REQUEST_ERROR", f"a socket has at most {MAX_OPERATIONS} operations at once"
                )
            await self.endpoint.require(self.grant)
            await operation.begin(request_of(payload, self.endpoint.executor.compiler.limits), self.grant)
        except RequestError as error:
            operation.refuse([error])
        except RefusedDocumentError as errors:
            operation.refuse(errors.errors)
        except StoreError as error:
            operation.refuse([of_fraisier(error)])


class Operation:
    """What a client asked for under an id, until it is complete: implements `subscriptions.Listener`."""

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
        return self._socket.writer.is_ready

    def next(self, answers: list[str]) -> None:
        """Send answers."""
        if self._is_open():
            for answer in answers:
                self._socket.writer.put(f'{{"id":{self._id},"type":"next","payload":{answer}}}')

    def complete(self) -> None:
        """Say that no more will come."""
        if self._is_open():
            self._close({"type": "complete"})

    def refuse(self, errors: Sequence[RequestError]) -> None:
        """Say why it is not executed."""
        self._close({"type": "error", "payload": [error.formatted() for error in errors]})

    def fail(self) -> None:
        """Close the socket, so that the client subscribes again."""
        self._socket.writer.close(CloseCode.INTERNAL_ERROR, "subscribe again from the last position")

    def _close(self, message: Mapping[str, Any]) -> None:
        self._socket.operations.pop(self._name, None)
        self._socket.writer.put(json.dumps({"id": self._name, **message}))

    def _is_open(self) -> bool:
        return self._socket.operations.get(self._name) is self

"""The web app: the webhook endpoint and the two health endpoints, as plain ASGI under Starlette's routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from fraisier_core.errors import StoreError
from fraisier_core.store import Database, Leases
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from fraisier.receiver import Answer, Incoming, Receiver

MAX_BODY_BYTES = 25_000_000
BODY_SECONDS = 15.0
CONTENT_TYPES = ("application/json", "application/x-www-form-urlencoded")

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


class _BodyTooLargeError(Exception):
    pass


class _GoneError(Exception):
    """The client hung up before its body was complete."""


class WebhookEndpoint:
    """`POST /webhook` and `POST /webhook/{provider}`.

    Args:
        receiver: answers verified and unverified deliveries.
        max_body_bytes: larger bodies are refused while they are read, before anything is verified.
    """

    def __init__(self, receiver: Receiver, max_body_bytes: int) -> None:
        self._receiver = receiver
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._answer(scope, receive)
        except _GoneError:
            return
        await _respond(answer, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = _headers(scope)
        provider = scope["path_params"].get("provider")
        if refusal := _refused(scope["method"], headers) or self._receiver.unknown(provider):
            return refusal
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._body(headers, receive)
        except _BodyTooLargeError:
            return _last(413, f"the body is larger than {self._max_body_bytes} bytes")
        except TimeoutError:
            return _last(408, f"the body took longer than {BODY_SECONDS:g} s")
        client = scope["client"][0] if scope.get("client") else ""
        return await self._receiver.receive(Incoming(provider, headers, body, client))

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_body_bytes:
            raise _BodyTooLargeError
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._max_body_bytes:
                raise _BodyTooLargeError
            more = message.get("more_body", False)
        return b"".join(chunks)


def create_app(
    receiver: Receiver, database: Database, lifespan: Lifespan | None = None, max_body_bytes: int = MAX_BODY_BYTES
) -> Starlette:
    """Return the web app.

    Args:
        receiver: answers deliveries.
        database: asked by `/readyz`.
        lifespan: what runs beside the app, such as the supervision of a worker.
        max_body_bytes: the largest body that is read.
    """
    leases = Leases(database)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        problems = _problems(database, leases)
        return JSONResponse({"status": "not ready" if problems else "ok", "problems": problems}, 503 if problems else 200)

    webhook = WebhookEndpoint(receiver, max_body_bytes)
    routes = [
        Route("/webhook", webhook),
        Route("/webhook/{provider}", webhook),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _problems(database: Database, leases: Leases) -> list[str]:
    try:
        with database.transaction():
            alive = leases.live_workers()
    except StoreError:
        return ["the store cannot be written"]
    return [] if alive else ["no worker is alive"]


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers by name; what was sent twice is joined, so that it matches neither."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _refused(method: str, headers: Mapping[str, str]) -> Answer | None:
    if method != "POST":
        return Answer(405, {"error": "only POST"}, {"allow": "POST"})
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in CONTENT_TYPES:
        return _last(415, f"the content type must be one of: {', '.join(CONTENT_TYPES)}")
    if "content-encoding" in headers:
        return _last(415, "a body with a Content-Encoding is not accepted")
    return None


def _last(status: int, error: str) -> Answer:
    """Return an answer after which the connection is closed: its body was not read."""
    return Answer(status, {"error": error}, {"connection": "close"})


async def _respond(answer: Answer, send: Send) -> None:
    body = json.dumps(answer.body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

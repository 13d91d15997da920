"""The web app: the webhook endpoint and the two health endpoints, as plain ASGI under Starlette's routes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress

from fraisier_core.errors import StoreError
from fraisier_core.store.protocol import Store
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from fraisier.answer import Answer, RefusedError, refused, unavailable
from fraisier.body import BodyReader, ClientGoneError
from fraisier.receiver import Incoming, Receiver

CONTENT_TYPES = ("application/json", "application/x-www-form-urlencoded")
LINGER_SECONDS = 2.0
READINESS_SECONDS = 1.0

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


class WebhookEndpoint:
    """`POST /webhook` and `POST /webhook/{provider}`.

    Args:
        receiver: answers verified and unverified deliveries.
        bodies: reads their bodies.
    """

    def __init__(self, receiver: Receiver, bodies: BodyReader) -> None:
        self._receiver = receiver
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._answer(scope, receive)
        except RefusedError as error:
            await _refuse(error.answer, receive, send)
        except ClientGoneError:
            pass
        except asyncio.CancelledError:  # uvicorn does so when it stops and the body has still not come
            await _respond(unavailable("the server is shutting down"), send)
        else:
            await _respond(answer, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = _headers(scope)
        _check_request(scope["method"], headers)
        forge = self._receiver.forge(scope["path_params"].get("provider"))
        body = await self._bodies.read(headers, receive)
        client = scope["client"][0] if scope.get("client") else ""
        return await self._receiver.receive(forge, Incoming(headers, body, client))


class Readiness:
    """Whether deliveries can be stored and a worker is alive; the store is checked at most once a second.

    Args:
        store: the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._problems: list[str] = []
        self._asked_at = float("-inf")

    def problems(self) -> list[str]:
        """Return the problems, none if it is ready."""
        if time.monotonic() - self._asked_at >= READINESS_SECONDS:
            self._problems = self._ask()
            self._asked_at = time.monotonic()
        return self._problems

    def _ask(self) -> list[str]:
        try:
            self._store.check_writable()
            alive = self._store.live_workers()
        except StoreError:
            return ["the store cannot be written"]
        return [] if alive else ["no worker is alive"]


def create_app(
    receiver: Receiver,
    store: Store,
    lifespan: Lifespan | None = None,
    bodies: BodyReader | None = None,
) -> Starlette:
    """Return the web app.

    Args:
        receiver: answers deliveries.
        store: checked by `/readyz`.
        lifespan: what runs beside the app, such as the supervision of a worker.
        bodies: reads request bodies, in other bounds than usual.
    """
    readiness = Readiness(store)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        problems = readiness.problems()
        return JSONResponse(
            {"status": "not ready" if problems else "ok", "problems": problems}, 503 if problems else 200
        )

    webhook = WebhookEndpoint(receiver, bodies or BodyReader())
    routes = [
        Route("/webhook", webhook),
        Route("/webhook/{provider}", webhook),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False  # a forge does not follow a redirect
    return app


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers by name; what was sent twice is joined, so that it matches neither."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _check_request(method: str, headers: Mapping[str, str]) -> None:
    if method != "POST":
        raise RefusedError(Answer(405, {"error": "only POST"}, {"allow": "POST"}))
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in CONTENT_TYPES:
        raise refused(415, f"the content type must be one of: {', '.join(CONTENT_TYPES)}")
    if "content-encoding" in headers:
        raise refused(415, "a body with a Content-Encoding is not accepted")


async def _respond(answer: Answer, send: Send, *, last: bool = True) -> None:
    body = json.dumps(answer.body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": not last})


async def _refuse(answer: Answer, receive: Receive, send: Send) -> None:
    """Answer before the body was read, and close the connection only after the rest of it was let pass.

    Closed at once, it would be reset under a client that still sends, and the answer be lost (RFC 9112, 9.6).
    """
    closing = Answer(answer.status, answer.body, {**answer.headers, "connection": "close"})
    await _respond(closing, send, last=False)
    with suppress(TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b""})

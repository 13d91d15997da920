"""The web app: the webhook endpoint, the two health endpoints, and the routes that it is given."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from functools import lru_cache

from fraisier_core.errors import StoreError
from fraisier_core.store.protocol import Store
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from fraisier.aside import Aside
from fraisier.body import BodyReader, ClientGoneError, is_large
from fraisier.receiver import Receiver
from fraisier.responses import error_response, handle_error, unavailable

CONTENT_TYPES = ("application/json", "application/x-www-form-urlencoded")
PATH = re.compile(r"/webhook(?:/([^/]+))?/?")
LINGER_SECONDS = 2.0
UNWRITABLE = "the store cannot be written"


class WebhookEndpoint:
    """Answers `POST /webhook[/PROVIDER]` before Starlette's routing, a tenth of the cost of a delivery."""

    def __init__(self, app: ASGIApp, receiver: Receiver) -> None:
        self._app = app
        self._receiver = receiver
        self._bodies = BodyReader()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if path is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await self._respond(path[1], scope, receive)
        except HTTPException as error:
            await _refuse(error, receive, send)
        except ClientGoneError:
            pass
        except asyncio.CancelledError:  # by uvicorn, if it shuts down before the body has come
            await error_response(unavailable("the server is shutting down"))(scope, receive, send)
        else:
            await response(scope, receive, send)

    async def _respond(self, provider: str | None, scope: Scope, receive: Receive) -> Response:
        headers = _headers(scope)
        _check_request(scope["method"], headers)
        configured = await self._receiver.provider(provider)
        peer = scope["client"][0] if scope.get("client") else ""
        sender = configured.senders.address(peer, headers.get("x-forwarded-for"))
        if not configured.senders.allows(sender):
            raise await self._receiver.refuse_sender(configured, sender)
        body = await self._bodies.read(headers, receive)
        with self._bodies.held(body) if is_large(body) else nullcontext():
            return await self._receiver.receive(configured, headers, body, sender)


def create_app(
    receiver: Receiver,
    store: Store,
    beside: Sequence[Lifespan[Starlette]] = (),
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """Return the web app; it serves `routes` as well, and what is `beside` it runs as long as it does."""
    app = Starlette(
        routes=[Route("/healthz", _healthz), Route("/readyz", _readyz(store)), *routes],
        middleware=[Middleware(WebhookEndpoint, receiver)],
        exception_handlers={HTTPException: handle_error, Exception: handle_error},
        lifespan=_together(beside),
    )
    app.router.redirect_slashes = False  # a forge does not follow a redirect
    return app


def _together(beside: Sequence[Lifespan[Starlette]]) -> Lifespan[Starlette]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            for each in beside:
                await running.enter_async_context(each(app))
            yield

    return lifespan


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _readyz(store: Store) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that says whether deliveries can be stored and a worker is alive."""

    @lru_cache(1)  # the store is asked at most once a second
    def problems(_second: int) -> list[str]:
        try:
            store.check_writable()
            return [] if store.live_workers() else ["no worker is alive"]
        except StoreError:
            return [UNWRITABLE]

    found_aside = Aside(lambda: problems(int(time.monotonic())))

    async def readyz(_request: Request) -> Response:
        try:
            found = await found_aside()
        except StoreError:
            found = [UNWRITABLE]
        status, code = ("not ready", 503) if found else ("ok", 200)
        return JSONResponse({"status": status, "problems": found}, code)

    return readyz


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers by name; what was sent twice is joined, so that it matches neither."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _check_request(method: str, headers: Mapping[str, str]) -> None:
    if method != "POST":
        raise HTTPException(405, "only POST", {"allow": "POST"})
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in CONTENT_TYPES:
        raise HTTPException(415, f"the content type must be one of: {', '.join(CONTENT_TYPES)}")
    if "content-encoding" in headers:
        raise HTTPException(415, "a body with a Content-Encoding is not accepted")


async def _refuse(error: HTTPException, receive: Receive, send: Send) -> None:
    """Answer before the body was read, and close the connection only after the rest of it was let pass.
    Closed at once, it would be reset under a client that still sends, and the answer be lost (RFC 9112, 9.6).
    """
    response = error_response(error)
    headers = [*response.raw_headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with suppress(TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b""})

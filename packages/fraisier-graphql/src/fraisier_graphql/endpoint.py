"""GraphQL over HTTP: JSON in the body of a POST, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fraisier_core import GRANT, Grant

from fraisier_graphql.executing import Executor, Request, Response, refused
from fraisier_graphql.limits import Limits
from fraisier_graphql.request_errors import RequestError

BODY_SECONDS = 15.0
BATCH_SECONDS = 10.0
JSON, GRAPHQL_JSON = b"application/json", b"application/graphql-response+json"
PAGE = Path(__file__).with_name("page.html")
PAGE_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    b"frame-ancestors 'none'"
)
PAGE_HEADERS = ((b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", PAGE_POLICY))


class Endpoint:
    """An ASGI app that answers the requests of admitted clients.

    Args:
        executor: executes them.
        limits: of a request.
        page: whether a browser gets a page to try documents on.
    """

    def __init__(self, executor: Executor, limits: Limits, *, page: bool = False) -> None:
        self._executor = executor
        self._limits = limits
        self._page = page

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond to one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if self._page and scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b""):
            await _send(send, 200, PAGE.read_bytes(), PAGE_HEADERS)
            return
        more: tuple[tuple[bytes, bytes], ...] = ()
        try:
            answer = await self._answer(scope, headers, receive)
        except _GoneError:
            return
        except _TransportError as error:
            more = error.headers
            body = refused([RequestError(error.code, str(error))]).body
            answer = Response(body, error.status)
        kind = GRAPHQL_JSON if GRAPHQL_JSON in headers.get(b"accept", b"") else JSON
        await _send(send, answer.status, answer.body, [(b"content-type", kind), *more])

    async def _answer(self, scope: Any, headers: Mapping[bytes, bytes], receive: Any) -> Response:
        _check(scope["method"], headers)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._body(headers, receive)
        except TimeoutError:
            raise _TransportError(408, f"the body took longer than {BODY_SECONDS:g} s") from None
        try:
            requests = self._requests(body)
        except RequestError as error:
            return refused([error])
        grant: Grant = scope[GRANT]
        if isinstance(requests, Request):
            return await self._executor.execute(requests, grant)
        until = asyncio.get_running_loop().time() + BATCH_SECONDS
        answers = [await self._within(until, each, grant) for each in requests]
        return Response(b"[" + b",".join(answer.body for answer in answers) + b"]")

    async def _within(self, until: float, request: Request, grant: Grant) -> Response:
        """Return the answer to one request of a batch, if its turn comes before that time of the loop."""
        if asyncio.get_running_loop().time() < until:
            return await self._executor.execute(request, grant)
        return refused([RequestError("TIMEOUT", f"the batch took longer than {BATCH_SECONDS:g} s")])

    async def _body(self, headers: Mapping[bytes, bytes], receive: Any) -> bytes:
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._limits.bytes:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            body += message.get("body", b"")
            if len(body) > self._limits.bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> _TransportError:
        what = f"the request is larger than {self._limits.bytes} bytes"
        return _TransportError(413, what, (b"connection", b"close"), code="PAYLOAD_TOO_LARGE")

    def _requests(self, body: bytes) -> Request | list[Request]:
        """Return what a body asks, several if it is a list. Raises `RequestError`."""
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            raise RequestError("REQUEST_ERROR", "the body is not JSON") from None
        if not isinstance(parsed, list):
            return request_of(parsed, self._limits)
        if not 0 < len(parsed) <= self._limits.batch:
            limit = f"a batch has 1 to {self._limits.batch} operations, this one has {len(parsed)}"
            raise RequestError("REQUEST_ERROR", limit)
        return [request_of(each, self._limits) for each in parsed]


def request_of(parsed: object, limits: Limits) -> Request:
    """Return what an object of JSON asks: `query`, and `operationName` and `variables` if it needs them.
    Raises `RequestError`.
    """
    if not isinstance(parsed, dict) or not isinstance(parsed.get("query"), str):
        raise RequestError("REQUEST_ERROR", 'the body should be an object with the text "query"')
    operation, variables = parsed.get("operationName"), parsed.get("variables")
    if not isinstance(operation, str | None):
        raise RequestError("REQUEST_ERROR", "operationName should be text")
    if not isinstance(variables, dict | None):
        raise RequestError("REQUEST_ERROR", "variables should be an object")
    if _depth(variables) > limits.variables:
        raise RequestError("REQUEST_ERROR", f"variables have more than {limits.variables} levels")
    if not _is_text(variables):
        raise RequestError(
            "REQUEST_ERROR", "variables hold half of a character: a surrogate without the other"
        )
    return Request(parsed["query"], operation or None, variables)


def _is_text(value: object) -> bool:
    """Whether every text in a value of JSON can be written in UTF-8, as databases take it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _depth(value: object) -> int:
    """Return how many levels a value of JSON has."""
    level, depth = [value], 0
    while level:
        nested = [each for each in level if isinstance(each, dict | list)]
        level = [item for each in nested for item in (each.values() if isinstance(each, dict) else each)]
        depth += bool(nested)
        if not nested:
            break
    return depth


class _GoneError(Exception):
    """The client went away."""


class _TransportError(Exception):
    """A request that is none of GraphQL."""

    def __init__(
        self, status: int, message: str, *headers: tuple[bytes, bytes], code: str = "REQUEST_ERROR"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.code = code


def _check(method: str, headers: Mapping[bytes, bytes]) -> None:
    if method != "POST":
        raise _TransportError(405, "only POST", (b"allow", b"POST"), code="METHOD_NOT_ALLOWED")
    kind, _, parameters = headers.get(b"content-type", b"").partition(b";")
    charset = parameters.strip().lower()
    if kind.strip().lower() != JSON or (charset and charset not in {b"charset=utf-8", b'charset="utf-8"'}):
        raise _TransportError(415, "the content type must be application/json, in UTF-8")
    if b"content-encoding" in headers:
        raise _TransportError(415, "a body with a Content-Encoding is not accepted")


async def _send(send: Any, status: int, body: bytes, headers: Any) -> None:
    fixed = [
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *fixed]})
    await send({"type": "http.response.body", "body": body})

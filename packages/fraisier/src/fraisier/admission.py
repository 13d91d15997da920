"""What stands before every app that is mounted: no request reaches it but from a client that is admitted."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fraisier_core.access.bearer import token_of_request
from fraisier_core.access.development import refusal
from fraisier_core.access.gate import Gate
from fraisier_core.access.grants import ADMIT, GRANT, Grant
from fraisier_core.errors import StoreError, UnauthenticatedError
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fraisier.responses import RETRY_SECONDS

MAX_SOCKETS = 5000
MAX_WAITING_SOCKETS = 1000
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013


class Admission:
    """Admits requests by their header. A WebSocket passes if its page may open one, and its first message
    is to admit it: a browser can send no header with it.

    Args:
        app: what is mounted.
        gate: admits clients.
        origins: of the pages that may open WebSockets, beside those of this server.
    """

    def __init__(self, app: ASGIApp, gate: Gate, origins: Collection[str] = ()) -> None:
        self._app = app
        self._gate = gate
        self._origins = {origin.lower().rstrip("/") for origin in origins}
        self.open_sockets = 0
        self.waiting_sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "websocket":
            await self._pass_socket(scope, receive, send)
        elif scope["type"] == "http":
            response = self._refused(scope) or await self._admit(scope)
            await (response or self._app)(scope, receive, send)

    def _refused(self, scope: Scope) -> Response | None:
        """Return the response to a request that may not even show a token, None to others."""
        if not self._gate.development:
            return None
        problem = refusal(scope["headers"]) or self._foreign(scope)
        return error_of(403, "FORBIDDEN", problem) if problem else None

    async def _admit(self, scope: Scope) -> Response | None:
        """Admit a request, or return the response to it."""
        token = token_of_request(scope["headers"])
        try:
            scope[GRANT] = await self._gate.admit(token)
        except UnauthenticatedError as error:
            challenge = "Bearer" if token is None else 'Bearer error="invalid_token"'
            return error_of(401, "UNAUTHENTICATED", str(error), {"www-authenticate": challenge})
        except StoreError:
            headers = {"retry-after": RETRY_SECONDS}
            return error_of(503, "SERVICE_UNAVAILABLE", "the store cannot be read", headers)
        return None

    def _foreign(self, scope: Scope) -> str | None:
        """Return why the page that sends a request may not, None if it may or it is no page."""
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if not origins:
            return None
        origin = origins[0].decode("latin-1").lower()
        own = hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""
        if len(origins) == 1 and (origin in self._origins or (own and _host_of(origin) == own)):
            return None
        return "a page of another site may not ask here"

    async def _pass_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._refused(scope) or self._foreign(scope):
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
            return
        if self.open_sockets >= MAX_SOCKETS or self.waiting_sockets >= MAX_WAITING_SOCKETS:
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": ""})
            return
        socket = _Socket(self, self._gate)
        scope[ADMIT] = socket.admit
        try:
            await self._app(scope, receive, send)
        finally:
            socket.close()


class _Socket:
    """A WebSocket, counted while it is open and while it waits to be admitted."""

    def __init__(self, counts: Admission, gate: Gate) -> None:
        self._counts = counts
        self._gate = gate
        self._waits = True
        counts.open_sockets += 1
        counts.waiting_sockets += 1

    async def admit(self, token: str | None) -> Grant:
        """Return what its client may do. Raises as `Gate.admit`."""
        grant = await self._gate.admit(token)
        self._wait_no_more()
        return grant

    def close(self) -> None:
        self._wait_no_more()
        self._counts.open_sockets -= 1

    def _wait_no_more(self) -> None:
        self._counts.waiting_sockets -= self._waits
        self._waits = False


def error_of(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the response to a request that is not admitted, in the form of GraphQL errors."""
    return JSONResponse({"errors": [{"message": message, "code": code}]}, status, headers)


def _host_of(origin: str) -> str | None:
    """Return the host and port of the page of an origin, None of what is no page of a server."""
    scheme, _, host = origin.partition("://")
    return host if scheme in {"http", "https"} else None

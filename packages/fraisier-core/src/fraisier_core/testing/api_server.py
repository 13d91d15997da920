"""A small HTTP server for tests of what sends requests: real sockets, and answers of the test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from fraisier_core.testing.serving_threads import serving_in_thread


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request that arrived; the names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return what the body says, None if it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What is answered: a status, a body that is sent as JSON unless it is bytes, and further headers; with
    `hangs`, nothing, until the server is closed.
    """

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False


class ApiServer:
    """Serves on a free port of the loopback address while its context lasts, and remembers what arrived.

    Args:
        answer: called for each request, in a thread of its own.
    """

    def __init__(self, answer: Callable[[ApiRequest], ApiResponse]) -> None:
        self.answer = answer
        self.requests: list[ApiRequest] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._stack = ExitStack()

    @property
    def host(self) -> str:
        """The host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://{self.host}"

    def __enter__(self) -> Self:
        self._stack.enter_context(serving_in_thread(self._server))
        self._stack.callback(self.closing.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _handler(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = ApiRequest(self.command, self.path, headers, body)
            answer = server.answer(request)
            server.requests.append(request)
            if answer.hangs:
                server.closing.wait()
            else:
                self._send(answer)

        def _send(self, answer: ApiResponse) -> None:
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler

"""A WebDAV server of ours that may lie: it forgets the end of what it takes, stalls, or forbids."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from fraisier_core.testing.serving_threads import serving_in_thread

_RESPONSE = (
    "<D:response><D:href>{path}</D:href><D:propstat><D:prop>{kind}"
    "<D:getcontentlength>{size}</D:getcontentlength><D:getlastmodified>{date}</D:getlastmodified>"
    "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
)
_FOLDER = "<D:resourcetype><D:collection/></D:resourcetype>"


@dataclass
class WebDav:
    """A server and what it holds.

    Attributes:
        files: the content by the path.
        sizes: what it says of the sizes, by the path.
        holds: how many bytes of a file it keeps, though it tells the size of the whole.
        room: how long a file may be; a longer one is answered with 507.
        forbids: the methods that it answers with 403.
        refuses: so many requests are answered with 429, as when a rate is limited.
        stalls: the methods that it never answers.
        asked: the methods of all requests, in their order.
        clock: the time that it thinks it is, in seconds since 1970.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    holds: int = 2**40
    room: int = 2**40
    forbids: tuple[str, ...] = ()
    refuses: int = 0
    stalls: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    clock: float = 1.0
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def webdav() -> Iterator[WebDav]:
    """Yield a server on a free port of the loopback address, for as long as the context lasts."""
    state = WebDav()
    server = _Server(state)
    state.url = f"http://127.0.0.1:{server.server_port}"
    with serving_in_thread(server):
        try:
            yield state
        finally:
            state.closing.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, state: WebDav) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def __getattr__(self, name: str) -> Callable[[], None]:
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self._serve

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def date_time_string(self, _: float | None = None) -> str:
        return formatdate(self.server.state.clock, usegmt=True)

    def _serve(self) -> None:
        state, body = self.server.state, self._body()
        state.asked.append(self.command)
        if self.command in state.stalls:
            self.close_connection = state.closing.wait()
            return
        status, answer = self._refusal() or self._result(body)
        content = answer.encode() if isinstance(answer, str) else answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "text/xml" if status == 207 else "application/octet-stream")
        self.end_headers()
        self.wfile.write(content)

    def _refusal(self) -> tuple[int, str] | None:
        state = self.server.state
        if state.refuses:
            state.refuses -= 1
            return 429, ""
        return (403, "") if self.command in state.forbids else None

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _result(self, body: bytes) -> tuple[int, str | bytes]:
        state, path = self.server.state, unquote(self.path).rstrip("/")
        match self.command:
            case "GET" | "MOVE" | "DELETE" if path not in state.files:
                return 404, ""
            case "GET":
                return 200, state.files[path]
            case "PUT" if len(body) > state.room:
                return 507, ""
            case "PUT":
                state.files[path], state.sizes[path] = body[: state.holds], len(body)
            case "MOVE":
                target = unquote(urlsplit(self.headers["Destination"]).path)
                state.files[target], state.sizes[target] = state.files.pop(path), state.sizes.pop(path)
            case "DELETE":
                del state.files[path]
            case "PROPFIND":
                return self._entries(path)
        return 201, ""

    def _entries(self, path: str) -> tuple[int, str]:
        state = self.server.state
        inside = sorted(each for each in state.files if each.startswith(f"{path}/") or each == path)
        if not inside and path:
            return 404, ""
        folder = [] if path in state.files else [self._entry(f"{path}/", _FOLDER, 0)]
        entries = [*folder, *(self._entry(each, "", state.sizes[each]) for each in inside)]
        return 207, f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{"".join(entries)}</D:multistatus>'

    def _entry(self, path: str, kind: str, size: int) -> str:
        return _RESPONSE.format(path=path, kind=kind, size=size, date=self.date_time_string())

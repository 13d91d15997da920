"""A proxy in front of a web app that lets through what a test wants, and knows what was asked."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from fraisier_core.testing.serving_threads import serving_in_thread

REFUSED = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy(socketserver.ThreadingTCPServer):
    """Forwards connections, each of which has one request.

    Args:
        target: the URL of the web app.
    """

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        parts = urlsplit(target)
        self.target = (parts.hostname or "", parts.port or 80)
        self.refused: set[str] = set()
        self.asked: list[str] = []
        self.sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def cut_sockets(self) -> None:
        """Cut every WebSocket that is open."""
        for each in self.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.sockets.clear()


class _Connection(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        """Forward one connection until one side ends it."""
        head = self.request.recv(65536)
        path = head.split(b" ", 2)[1].decode() if head.count(b" ") > 1 else ""
        self.server.asked.append(path)
        if path in self.server.refused:
            self.request.sendall(REFUSED)
            return
        with socket.create_connection(self.server.target) as upstream:
            upstream.sendall(head)
            if path.endswith("/ws"):
                self.server.sockets += [self.request, upstream]
            back = threading.Thread(target=_pump, args=(upstream, self.request), daemon=True)
            back.start()
            _pump(self.request, upstream)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def proxy_of(url: str) -> Iterator[Proxy]:
    """Run a proxy in front of a URL."""
    proxy = Proxy(url)
    with serving_in_thread(proxy):
        yield proxy

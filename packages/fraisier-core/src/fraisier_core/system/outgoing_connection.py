"""A connection that another thread may end at any time, and HTTP on it."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import SplitResult, urlsplit

PORTS = {"https": 443, "http": 80}


class OutgoingConnection:
    """One connection of a thread: the system bounds no more than each part of looking up a name and of
    reading, so that whoever waits for the thread hangs up once the time is over.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._socket: socket.socket | None = None

    def open(self, host: str, port: int, seconds: float) -> socket.socket:
        """Return a new connection; each part of what is done on it takes `seconds` at most."""
        opened = socket.create_connection((host, port), timeout=seconds)
        self._socket = opened.dup()
        if self.is_over:
            self.hang_up()
        return opened

    def hang_up(self) -> None:
        """End the connection, or the one that is still to be opened."""
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    @contextmanager
    def requested(
        self, method: str, url: SplitResult, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> Iterator[http.client.HTTPResponse]:
        """Make a request over HTTP, and yield the response; `Host` is also whom a certificate must be for."""
        port = url.port or PORTS[url.scheme]
        plain = self.open(url.hostname or "", port, seconds)
        secure = url.scheme == "https"
        with plain, _encrypted(plain, headers["Host"]) if secure else plain as connection:
            client = http.client.HTTPConnection(url.hostname or "")
            client.sock = connection
            path = url._replace(scheme="", netloc="", fragment="").geturl() or "/"
            sent = {"User-Agent": "fraisier", **headers, "Connection": "close"}
            client.request(method, path, body or None, sent)
            with client.getresponse() as response:
                yield response


def _encrypted(connection: socket.socket, host: str) -> ssl.SSLSocket:
    name = urlsplit(f"https://{host}").hostname
    return ssl.create_default_context().wrap_socket(connection, server_hostname=name)

"""What stands between PostgreSQL and its client in a test: it cuts connections, or lets nothing through."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal

Moment = Literal["before", "after"]


class Proxy:
    """Listens on a port of the loopback address for what is meant for another one.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.was_cut = threading.Event()
        self._lets_through = threading.Event()
        self._lets_through.set()
        self.was_held = threading.Event()
        self._held: bytes | None = None
        self._marker: bytes | None = None
        self._moment: Moment = "before"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def say_nothing(self) -> None:
        """Accept connections, and hold everything that is sent from now on."""
        self._lets_through.clear()

    def go_on(self) -> None:
        """Send what was held, and let everything through again."""
        self._lets_through.set()

    def hold(self, marker: str) -> None:
        """Hold everything from when a client sends a text on, and set `was_held` then."""
        self._held = marker.encode()

    def cut(self, marker: str, moment: Moment) -> None:
        """Cut the next connection whose client sends a text.

        Args:
            marker: the text.
            moment: before the server gets it, or after it has answered.
        """
        self._marker, self._moment = marker.encode(), moment

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except ConnectionRefusedError:
                    client.close()
                    continue
                for pump in (self._to_server, self._to_client):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                if self._held is not None and self._held in data:
                    self._held = None
                    self.say_nothing()
                    self.was_held.set()
                self._lets_through.wait()
                if self._marker is not None and self._marker in data:
                    self._marker = None
                    if self._moment == "after":
                        client.shutdown(socket.SHUT_WR)
                        server.sendall(data)
                        return
                    break
                server.sendall(data)
        _close(client, server)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                self._lets_through.wait()
                client.sendall(data)
        _close(client, server)
        self.was_cut.set()


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

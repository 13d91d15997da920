"""Hearing of work: a connection that listens, and is opened again when it was lost."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress

import psycopg

from fraisier_postgres.clients import parameters_of

CHANNEL = "fraisier_wake"
PAUSE_SECONDS = 1.0
CLOSING_SECONDS = 3.0


class Listener:
    """A worker's end of `Store.wake`: implements `protocol.WakeUps`. A thread of its own listens, because the
    connection may be lost and another one have another file descriptor.

    Args:
        url: of the database.
    """

    poll_seconds = 5.0

    def __init__(self, url: str) -> None:
        self._url = url
        self._handle = _counter()
        self._closed = _counter()
        self._thread = threading.Thread(target=self._listen, name="listen", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """Return the file descriptor that is readable after a wake-up."""
        return self._handle

    def clear(self) -> None:
        """Forget every wake-up so far."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._handle)

    def close(self) -> None:
        """Hear no more."""
        os.eventfd_write(self._closed, 1)
        self._thread.join(CLOSING_SECONDS)
        if not self._thread.is_alive():  # else it waits for a database that says nothing
            os.close(self._handle)
            os.close(self._closed)

    def _listen(self) -> None:
        is_over = False
        while not is_over:
            with suppress(psycopg.Error):
                self._listen_once()
            is_over = bool(select.select([self._closed], [], [], PAUSE_SECONDS)[0])

    def _listen_once(self) -> None:
        with psycopg.connect(**parameters_of(self._url), autocommit=True) as client:
            client.execute(f"LISTEN {CHANNEL}")
            os.eventfd_write(self._handle, 1)  # for what came before
            while self._closed not in select.select([client.fileno(), self._closed], [], [])[0]:
                client.pgconn.consume_input()
                while client.pgconn.notifies():
                    os.eventfd_write(self._handle, 1)


def _counter() -> int:
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

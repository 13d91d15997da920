"""Hearing of work: a connection that listens, and is opened again when it was lost."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import psycopg

CHANNEL = "fraisier_wake"
PAUSE_SECONDS = 1.0


class Listener:
    """A worker's end of `Store.wake`: implements `protocol.WakeUps`. A thread of its own listens, because the
    connection may be lost and another one have another file descriptor.

    Args:
        url: of the database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._handle = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closed = threading.Event()
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
        self._closed.set()
        self._thread.join()
        os.close(self._handle)

    def _listen(self) -> None:
        while not self._closed.is_set():
            with suppress(psycopg.Error):
                self._listen_once()
            self._closed.wait(PAUSE_SECONDS)

    def _listen_once(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as client:
            client.execute(f"LISTEN {CHANNEL}")
            os.eventfd_write(self._handle, 1)  # for what came before
            while not self._closed.is_set():
                for _ in client.notifies(timeout=PAUSE_SECONDS, stop_after=1):
                    os.eventfd_write(self._handle, 1)

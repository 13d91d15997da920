"""Hearing of commits: the triggers that append notify, and a slow poll covers what a pooler keeps from us."""

from __future__ import annotations

import os
import select
import time

import psycopg

from fraisier_postgres.clients import parameters_of
from fraisier_postgres.listening import CHANNEL

CHANGES = "fraisier_changes"
POLL_SECONDS = 0.25
PAUSE_SECONDS = 0.1


class PostgresCommits:
    """Implements `protocol.Commits`.

    Args:
        url: of the database; a connection that was lost is opened again.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: psycopg.Connection | None = None
        self._awake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def wait(self, seconds: float) -> None:
        try:
            self._wait(min(seconds, POLL_SECONDS))
        except psycopg.Error:
            self._disconnect()
            time.sleep(PAUSE_SECONDS)

    def wake(self) -> None:
        os.eventfd_write(self._awake, 1)

    def close(self) -> None:
        self._disconnect()
        os.close(self._awake)

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    def _wait(self, seconds: float) -> None:
        if self._client is None:
            self._client = psycopg.connect(**parameters_of(self._url), autocommit=True)
            self._client.execute(f"LISTEN {CHANGES}")
            self._client.execute(f"LISTEN {CHANNEL}")
            return  # something may have been committed before
        waiting = select.poll()
        for each in (self._client.fileno(), self._awake):
            waiting.register(each, select.POLLIN)
        if self._awake in dict(waiting.poll(seconds * 1e3)):
            os.eventfd_read(self._awake)
        self._client.pgconn.consume_input()
        while self._client.pgconn.notifies():
            pass

"""A connection to PostgreSQL that is opened again when it was lost, its errors turned into ours."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from uuid import uuid4
from weakref import finalize

import psycopg
from fraisier_core import StoreError, UnknownOutcomeError
from fraisier_core.store.relational.dialect import NONE, Parameters
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import DictRow, dict_row

from fraisier_postgres.clients import SESSION, has_ended, is_pooled, parameters_of, translated
from fraisier_postgres.postgres_errors import (
    LostConnectionError,
    RolledBackError,
    ends_connection,
    explanation,
    shown,
)
from fraisier_postgres.values import register

T = TypeVar("T")
Client = psycopg.Connection[DictRow]

INTERRUPT_SECONDS = 2.0
REPETITIONS = 5
"""How often a transaction is done again that PostgreSQL rolled back because of another."""
LOSSES_TO_TELL = 3
"""In a row; a restart of PostgreSQL takes no longer."""
PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
NOT_DURABLE = "; SET LOCAL synchronous_commit = off"


class PostgresConnection:
    """Implements `dialect.Connection`. Not to be carried over a fork.

    Args:
        url: of the database, as libpq takes it.
        for_reading: whether to refuse every change.
        lock_seconds: how long a transaction waits for each lock; None for as long as it takes.
    """

    def __init__(self, url: str, *, for_reading: bool = False, lock_seconds: float | None = None) -> None:
        self.url = url
        self.shown = shown(url)
        self.insists = False
        self._parameters = parameters_of(url)
        self._for_reading = for_reading
        self._lock_seconds = lock_seconds
        self._bound = f"; SET LOCAL lock_timeout = {lock_seconds * 1e3:.0f}" if lock_seconds else ""
        self._id = str(uuid4())
        self._lock = threading.RLock()
        self._client: Client | None = None
        self._finalizer: finalize[..., Any] | None = None
        self._transacting = False

    def close(self) -> None:
        """Close the connection; the next statement opens another one."""
        with self._lock:
            if self._finalizer is not None:
                self._finalizer()
            self._client = None

    def interrupt(self) -> None:
        """Have a query that another thread waits for fail soon."""
        client = self._client
        if client is not None:
            with suppress(OSError, psycopg.Error):
                client.cancel_safe(timeout=INTERRUPT_SECONDS)

    def transact(self, work: Callable[[], T], *, durable: bool = True) -> T:
        """Commit what `work` does and return what it returns, or roll back if it raises. It is done again if
        PostgreSQL was lost before the commit, and if another transaction had it rolled back.
        """
        with self._lock:
            return self._repeated(lambda: self._transacted(work, durable=durable))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read everything inside the block as it was when the block began, and change nothing."""
        with self._lock:
            self._repeated(lambda: self._run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            self._transacting = True
            try:
                yield
            finally:
                self._transacting = False
                with suppress(StoreError):
                    self._run("ROLLBACK")

    def execute(self, sql: str, parameters: Parameters = NONE) -> int:
        """Run one statement, and return how many rows it changed."""
        with self._lock:
            return self._alone(lambda: self._run(sql, parameters).rowcount)

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> None:
        """Run one statement for each row, without waiting for each answer."""
        with self._lock:
            self._alone(lambda: self._run_many(sql, rows))

    def all(self, sql: str, parameters: Parameters = NONE) -> list[DictRow]:
        """Return the rows of a query."""
        with self._lock:
            return self._alone(lambda: self._run(sql, parameters).fetchall())

    def copy(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Send rows to a `COPY ... FROM STDIN` inside a transaction."""
        with self._lock, self._explained(), self._open().cursor().copy(sql.encode()) as copying:
            for row in rows:
                copying.write_row(row)

    def once(self, sql: str, parameters: Parameters = NONE) -> list[DictRow]:
        """Return the rows of a statement that is a transaction of its own, and must not be done twice. Raises
        `UnknownOutcomeError` if the connection is lost meanwhile, unless this connection insists.
        """

        def rows() -> list[DictRow]:
            return self._run(sql, parameters).fetchall()

        if self.insists:
            return self.transact(rows, durable=False)
        with self._lock:
            if self._client is not None and has_ended(self._client):
                self.close()
            with self._explained():
                self._open()
            try:
                return self._repeated(rows, losses=0)
            except LostConnectionError as error:
                raise _in_doubt(error) from error

    def run_script(self, sql: str) -> None:
        """Run the statements of a file, which have no parameters, inside a transaction."""
        with self._lock, self._explained():
            self._open().execute(sql.encode())

    def _alone(self, action: Callable[[], T]) -> T:
        """Return what a statement returns, repeated if it is no part of a transaction. A reader's always is
        part of one: a session that is read-only would be handed on by a pooler.
        """
        if self._transacting:
            return action()
        return self.transact(action) if self._for_reading else self._repeated(action)

    def _repeated(self, action: Callable[[], T], *, losses: int = 1) -> T:
        """Return what `action` returns; it is repeated once after a lost connection, which may have been lost
        long before, or, if this connection insists, until PostgreSQL is back.
        """
        lost, rolled_back, pause = 0, 0, PAUSE_SECONDS
        while True:
            try:
                return action()
            except LostConnectionError as error:
                lost += 1
                if lost > losses and not self.insists:
                    raise
                if lost == LOSSES_TO_TELL:
                    logging.getLogger(__name__).warning("%s; waiting until it is back", error)
            except RolledBackError:
                rolled_back += 1
                if rolled_back > REPETITIONS:
                    raise
            if lost > 1:
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def abort(self) -> None:
        """Have what another thread waits for fail at once."""
        client = self._client
        if client is not None and not client.closed:
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(client.fileno())) as shared:
                shared.shutdown(socket.SHUT_RDWR)

    def _transacted(self, work: Callable[[], T], *, durable: bool) -> T:
        begin = "BEGIN READ ONLY" if self._for_reading else "BEGIN"
        self._run(f"{begin}{'' if durable else NOT_DURABLE}{self._bound}")
        self._transacting = True
        try:
            result = work()
            change = self._noted() if self.insists or self._bound else None
        except BaseException:
            with suppress(StoreError):
                self._run("ROLLBACK")
            raise
        finally:
            self._transacting = False
        self._commit(change)
        return result

    def _noted(self) -> str:
        """Record an id with what the transaction changes, which tells later whether it was committed."""
        change = str(uuid4())
        self._run("SELECT note_change(:client, :change)", {"client": self._id, "change": change})
        return change

    def _commit(self, change: str | None) -> None:
        """Commit. If the answer is lost, find out whether the transaction of that id was committed."""
        try:
            self._run("COMMIT")
        except LostConnectionError as error:
            if change is None and not self._for_reading:
                raise _in_doubt(error) from error
            if change is None or self._last_change() != change:
                raise

    def _last_change(self) -> str | None:
        """Return the id of what this connection committed last, once nothing of it is in progress: the server
        process of a lost connection may not have noticed yet, or wait for a standby.
        """
        sql = "SELECT set_config('lock_timeout', :patience, true), last_change(:client) AS change"
        asked = {"client": self._id, "patience": f"{(self._lock_seconds or 0) * 1e3:.0f}"}
        try:
            row = self._repeated(lambda: self._run(sql, asked).fetchone())
        except StoreError as error:
            raise _in_doubt(error) from error
        return row["change"] if row else None

    def _run(self, sql: str, parameters: Parameters = NONE) -> psycopg.Cursor[DictRow]:
        with self._explained():
            return self._open().execute(translated(sql).encode(), parameters or None)

    def _run_many(self, sql: str, rows: Sequence[Parameters]) -> None:
        with self._explained():
            self._open().cursor().executemany(translated(sql).encode(), rows)

    def _open(self) -> Client:
        """Return the connection; outside of a transaction a new one if it was lost."""
        if self._client is None or (self._client.closed and not self._transacting):
            self.close()
            self._client = client = psycopg.connect(**self._parameters, autocommit=True, row_factory=dict_row)
            self._finalizer = finalize(self, client.close)
            register(client)
            row = client.execute(SESSION).fetchone()
            if is_pooled(client, row):
                client.prepare_threshold = None
        return self._client

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what psycopg raises into ours."""
        try:
            yield
        except psycopg.Error as error:
            raise explanation(error, self.shown, is_lost=self._is_lost(error)) from error

    def _is_lost(self, error: psycopg.Error) -> bool:
        """Return whether the connection cannot be used any more; of one that is being ended that is certain
        before it shows.
        """
        is_standby = isinstance(error, ReadOnlySqlTransaction) and not self._for_reading  # since a failover
        if self._client is not None and (is_standby or ends_connection(error)):
            self._client.close()
        return self._client is None or self._client.closed


def _in_doubt(error: StoreError) -> UnknownOutcomeError:
    return UnknownOutcomeError(f"{error}; whether the last change was recorded is unknown")

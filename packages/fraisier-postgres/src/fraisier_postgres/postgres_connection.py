"""A connection to PostgreSQL that is opened again when it was lost, its errors turned into ours."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, TypeVar
from weakref import finalize

import psycopg
from fraisier_core import FencedError, StoreError, UnreachableStoreError
from fraisier_core.store.relational.dialect import NONE, ConstraintError, Parameters
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from fraisier_postgres.values import register

T = TypeVar("T")
Client = psycopg.Connection[DictRow]

REPETITIONS = 5
"""How often a transaction is done again that PostgreSQL rolled back because of another."""
PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
DEFAULTS: Mapping[str, str] = {
    "application_name": "fraisier",
    "connect_timeout": "2",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""Of the parameters of a connection; a server that vanished is noticed within 25 seconds."""
_ENDED = ("08", "25P03", "57P")
"""What the codes begin with of errors that end a connection: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
_NAME = re.compile(r"(?<![:\w]):(\w+)")


class LostConnectionError(UnreachableStoreError):
    """PostgreSQL cannot be reached, or could not any more: nothing was committed."""


class _RolledBackError(StoreError):
    """PostgreSQL rolled a transaction back because of another; the same once more may succeed."""


class PostgresConnection:
    """Implements `dialect.Connection`. Not to be carried over a fork.

    Args:
        url: of the database, as libpq takes it.
        for_reading: whether to refuse every change.
    """

    def __init__(self, url: str, *, for_reading: bool = False) -> None:
        self.url = url
        self.shown = shown(url)
        self.insists = False
        self._parameters = parameters_of(url)
        self._for_reading = for_reading
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

    def transact(self, work: Callable[[], T], *, durable: bool = True) -> T:
        """Commit what `work` does and return what it returns, or roll back if it raises. It is done again if
        PostgreSQL was lost before the commit, and if another transaction had it rolled back.
        """
        with self._lock:
            return self._repeated(lambda: self._transacted(work, durable=durable))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block wrote if it raises, and keep the transaction around it."""
        self.execute("SAVEPOINT item")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK TO item")
            raise
        finally:
            self.execute("RELEASE item")

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

    def _repeated(self, action: Callable[[], T]) -> T:
        """Return what `action` returns; it is repeated once after a lost connection, which may have been lost
        long before, or, if this connection insists, until PostgreSQL is back.
        """
        lost, rolled_back, pause = 0, 0, PAUSE_SECONDS
        while True:
            try:
                return action()
            except LostConnectionError:
                lost += 1
                if lost > 1 and not self.insists:
                    raise
            except _RolledBackError:
                rolled_back += 1
                if rolled_back > REPETITIONS:
                    raise
            if lost > 1:
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _transacted(self, work: Callable[[], T], *, durable: bool) -> T:
        begin = "BEGIN READ ONLY" if self._for_reading else "BEGIN"
        self._run(begin if durable else f"{begin}; SET LOCAL synchronous_commit = off")
        self._transacting = True
        try:
            result = work()
            number = self._number() if self.insists else None
        except BaseException:
            with suppress(StoreError):
                self._run("ROLLBACK")
            raise
        finally:
            self._transacting = False
        self._commit(number)
        return result

    def _number(self) -> str | None:
        """Return the number of the transaction, if it changed anything: it tells later what became of it."""
        row = self._run("SELECT pg_current_xact_id_if_assigned() AS number").fetchone()
        return row["number"] if row else None

    def _commit(self, number: str | None) -> None:
        """Commit. If the answer is lost, find out what became of the transaction of that number."""
        try:
            self._run("COMMIT")
        except LostConnectionError as error:
            if number is None and not (self.insists or self._for_reading):
                raise StoreError(f"{error}; whether the last change was recorded is unknown") from error
            if number is None or self._repeated(lambda: self._outcome(number)) != "committed":
                raise

    def _outcome(self, number: str) -> str:
        sql = "SELECT pg_xact_status(CAST(:number AS xid8)) AS status"
        row = self._run(sql, {"number": number}).fetchone()
        if row and row["status"] == "in progress":  # its server process has not noticed yet
            raise LostConnectionError(f"the store {self.shown}: the last transaction has not ended")
        return str(row["status"]) if row else ""

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
            if _is_pooled(client):
                client.prepare_threshold = None
        return self._client

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what psycopg raises into ours."""
        try:
            yield
        except psycopg.Error as error:
            raise self._explanation(error) from error

    def _explanation(self, error: psycopg.Error) -> StoreError:
        message = " ".join((error.diag.message_primary or str(error)).split())
        if isinstance(error, errors.IntegrityError | errors.DataError):
            return FencedError(message) if message.startswith("fenced") else ConstraintError(message)
        if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
            return _RolledBackError(f"the store {self.shown}: {message}")
        kind = LostConnectionError if self._is_lost(error) else StoreError
        return kind(f"the store {self.shown}: {message}. {_advice(error)}")

    def _is_lost(self, error: psycopg.Error) -> bool:
        """Return whether the connection cannot be used any more; of one that is being ended that is certain
        before it shows.
        """
        if self._client is not None and (error.sqlstate or "").startswith(_ENDED):
            self._client.close()
        return self._client is None or self._client.closed


@cache
def translated(sql: str) -> str:
    """Return a statement with `%(name)s` for each `:name`."""
    return _NAME.sub(r"%(\1)s", sql.replace("%", "%%")) if ":" in sql else sql


def parameters_of(url: str) -> dict[str, Any]:
    """Return the parameters of a connection; what the url says goes before the defaults."""
    return {**DEFAULTS, **conninfo_to_dict(url)}


def _is_pooled(client: Client) -> bool:
    """Return whether a pooler such as PgBouncer is in between: it gives each transaction another session, and
    tells the number of none. What one client prepares there, another one may execute.
    """
    row = client.execute("SELECT pg_backend_pid() AS pid").fetchone()
    return row is not None and row["pid"] != client.info.backend_pid


def shown(url: str) -> str:
    """Return what of a url is no secret: the host and the name of the database."""
    parts = conninfo_to_dict(url)
    return f"{parts.get('dbname')} on {parts.get('host', 'this host')}"


def _advice(error: psycopg.Error) -> str:
    if isinstance(error, errors.InsufficientPrivilege):
        return "Give the user of database.url the role that it needs"
    if isinstance(error, errors.DiskFull):
        return "Free some space; what was acknowledged is intact"
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return "It is a standby; name the primary server in database.url"
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.UndefinedFunction):
        return "Run `fraisier db migrate`"
    return "Check that PostgreSQL runs and that database.url is right"

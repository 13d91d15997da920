"""One SQLite connection: durable, fenced by transactions, its errors turned into ours."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar
from weakref import finalize

from fraisier_core.errors import StoreError
from fraisier_core.store.relational.dialect import refused
from fraisier_core.store.sqlite.sqlite_migrations import migrate, require_current
from fraisier_core.system.locks import try_lock
from fraisier_core.system.owner import existing_place

T = TypeVar("T")
Parameters = Mapping[str, Any] | Sequence[Any]

BUSY_SECONDS = 5.0
BUSY_TICK_SECONDS = 0.01
PAGES_BETWEEN_CHECKPOINTS = 4000
_DAMAGED = "It is damaged; stop every Fraisier process, move it away and run `fraisier db restore`"
_NAME = re.compile(r":(\w+)")


@cache
def _positional(sql: str) -> tuple[str, Callable[[Mapping[str, Any]], Sequence[Any]]]:
    """Return a statement with `?` for each `:name`: sqlite3 looks names up for each row, which costs."""
    names = _NAME.findall(sql)
    if len(names) == 1:
        return _NAME.sub("?", sql), lambda row: (row[names[0]],)
    return _NAME.sub("?", sql), itemgetter(*names)


class Connection:
    """A connection to the store, safe to share between the threads of one process.

    Durable (`synchronous=FULL`, WAL). Of all connections only one checkpoints, because SQLite before
    3.51.3 can corrupt a WAL when two do so at the same moment: the process that holds the lock beside the
    database. Not to be carried over a fork.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, migrated: tuple[str, ...] = ()) -> None:
        self.path = path
        self.migrated = migrated
        self._connection = connection
        finalize(self, connection.close)  # when the interpreter ends, at the latest: the WAL goes with it
        self._lock = threading.RLock()
        self._checkpointing: int | None = None
        self._identity = _file_identity(path)

    @classmethod
    def open(cls, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Connection:
        """Open the store, creating and migrating it, and its folder, as needed. Raises `StoreError`."""
        from fraisier_core.system.disk import make_folder  # not for those who only read

        with _explained(path):
            # Passable for everyone: a service that runs as another user reaches its release through it.
            make_folder(path.parent, 0o751)
            connection = _connect(path, busy_seconds)
            _use_wal(connection, busy_seconds)
            migrated = migrate(connection)
        return cls(path, connection, migrated)

    @classmethod
    def open_for_reading(cls, path: Path) -> Connection | None:
        """Open the store without changing anything; None if there is none. Raises `StoreError`."""
        with _explained(path):
            if not path.exists():
                return None
            connection = _connect(path, BUSY_SECONDS)
            connection.execute("PRAGMA query_only = ON")
            require_current(connection)
        return cls(path, connection)

    def take_checkpoints(self) -> bool:
        """Let this connection checkpoint, unless another process does; return whether. Cheap to repeat."""
        if self._checkpointing is None:
            with _explained(self.path):
                self._checkpointing = try_lock(self.path.with_name("checkpoint.lock"))
            if self._checkpointing is not None:
                self.execute(f"PRAGMA wal_autocheckpoint = {PAGES_BETWEEN_CHECKPOINTS}")
        return self._checkpointing is not None

    def close(self) -> None:
        """Close the connection."""
        with _explained(self.path):
            self._connection.close()
        if self._checkpointing is not None:
            os.close(self._checkpointing)
            self._checkpointing = None

    def interrupt(self) -> None:
        """Have a query that another thread waits for fail soon."""
        self._connection.interrupt()

    def transact(self, work: Callable[[], T], *, durable: bool = True) -> T:
        """Do `work` with the write lock held; commit, or roll back if it raises."""
        with self.transaction() if durable else self._fleeting_transaction():
            return work()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the write lock until the block ends; commit, or roll back if it raises."""
        with self._lock, _explained(self.path):
            self._require_same_file()
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:  # which commits, or rolls back
                yield

    @contextmanager
    def _fleeting_transaction(self) -> Iterator[None]:
        """Do not wait for the disk: a power failure takes what only this boot needs, and no later commit."""
        with self._lock:
            self.execute("PRAGMA synchronous = NORMAL")
            try:
                with self.transaction():
                    yield
            finally:
                self.execute("PRAGMA synchronous = FULL")

    def _require_same_file(self) -> None:
        """Refuse to write if the file was deleted or replaced: nothing would ever read it."""
        if _file_identity(self.path) != self._identity:
            raise StoreError(f"the store {self.path} was deleted or replaced; restart every Fraisier process")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read everything inside the block as it was when the block began, and change nothing."""
        with self._lock:
            self.execute("BEGIN")
            try:
                self.all("SELECT 1 FROM sqlite_schema LIMIT 1")  # the first to read begins the snapshot
                yield
            finally:
                self.execute("ROLLBACK")

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement, and return how many rows it changed."""
        with self._lock, _explained(self.path):
            return self._connection.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each row."""
        positional, values = _positional(sql)
        with self._lock, _explained(self.path):
            self._connection.executemany(positional, map(values, rows))

    def all(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        with self._lock, _explained(self.path):
            return self._connection.execute(sql, parameters).fetchall()


def _file_identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - on the way of every push, and half the cost
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    if not path.exists():
        with suppress(OSError):  # which SQLite says better
            path.touch(mode=0o600)
    connection = sqlite3.connect(path, busy_seconds, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")  # or each statement with triggers makes a temporary file
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def _use_wal(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch to WAL. Of two that do so at once SQLite refuses one without letting it wait."""
    until = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(BUSY_TICK_SECONDS)
        else:
            return


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise refused(str(error)) from error
    except UnicodeDecodeError as error:  # of a message that quotes a damaged text
        raise StoreError(f"the store {path} has text that is not UTF-8. {_DAMAGED}") from error
    except (sqlite3.Error, OSError) as error:
        problem = str(error).partition(" with text ")[0]  # of whatever length
        raise StoreError(f"the store {path}: {problem}. {_advice(path, error)}") from error


def _advice(path: Path, error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "It is locked by another process; try again"
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT} or str(error).startswith("Could not decode"):
        return _DAMAGED
    if code == sqlite3.SQLITE_FULL:
        return "Free some space; what was acknowledged is intact"
    with suppress(StoreError, OSError):
        if (owner := existing_place(path).stat().st_uid) != os.geteuid():
            return f"It belongs to another user; run `sudo -u '#{owner}' fraisier ...`"
    return "Check that the folder exists and may be written"

"""What a database is asked for: statements, and transactions around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial, wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from fraisier_core.errors import ClosedStoreError, FencedError, StoreError

P = ParamSpec("P")
T = TypeVar("T")
Parameters = Mapping[str, Any]
NONE: Parameters = MappingProxyType({})
CLOSED = "closed: "
"""What a closed store begins its refusals with."""


class ConstraintError(StoreError):
    """The database refused a row: a key that exists already, a reference to nothing, or a rule of ours."""


class InterruptedTransactionError(StoreError):
    """The database ended the transaction, not because of what it was to do."""


def refused(message: str) -> StoreError:
    """Return what a refusal of the database means to the caller."""
    if message.startswith(CLOSED):
        return ClosedStoreError(message.removeprefix(CLOSED))
    return FencedError(message) if message.startswith("fenced") else ConstraintError(message)


class Row(Protocol):
    """A row of a result, its columns by name."""

    def __getitem__(self, column: str, /) -> Any:
        """Return the value of a column."""


class Connection(Protocol):
    """A connection to the database, safe to share between the threads of one process. Every method may raise
    `StoreError`; of what the database refuses `ConstraintError`, and `FencedError` of an outdated token.
    """

    def close(self) -> None:
        """Close it."""

    def interrupt(self) -> None:
        """Have a query that another thread waits for fail soon."""

    def transact(self, work: Callable[[], T], *, durable: bool = True) -> T:
        """Commit what `work` does and return what it returns, or roll back if it raises.

        Args:
            work: is done again if the database has rolled it back and asks for that.
            durable: whether to wait for the disk; what only this boot needs does not.
        """

    def snapshot(self) -> AbstractContextManager[None]:
        """Read everything inside the block as it was when the block began, and change nothing."""

    def execute(self, sql: str, parameters: Parameters = NONE, /) -> int:
        """Run one statement, and return how many rows it changed."""

    def execute_many(self, sql: str, rows: Sequence[Parameters], /) -> None:
        """Run one statement for each row."""

    def all(self, sql: str, parameters: Parameters = NONE, /) -> Sequence[Row]:
        """Return the rows of a query."""


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Undo what the block wrote if it raises, and keep the transaction around it."""
    connection.execute("SAVEPOINT item")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK TO item")
        raise
    finally:
        connection.execute("RELEASE item")


@cache
def statements(folder: Path, name: str) -> Mapping[str, str]:
    """Return the named statements of one `.sql` file; each follows a line `-- name: NAME`."""
    text = (folder / f"{name}.sql").read_text()
    blocks = (block.partition("\n") for block in text.split("-- name: ")[1:])
    return {title.strip(): sql.strip().rstrip(";") for title, _, sql in blocks}


def quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


class Connected(Protocol):
    """What has a connection."""

    @property
    def _connection(self) -> Connection: ...


S = TypeVar("S", bound=Connected)


def transaction(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Have a method do all that it does, or nothing, and return once it is on disk."""
    return _transaction(method, durable=True)


def fleeting_transaction(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Have a method do all that it does, or nothing, without waiting for the disk."""
    return _transaction(method, durable=False)


def _transaction(method: Callable[Concatenate[S, P], T], *, durable: bool) -> Callable[Concatenate[S, P], T]:
    @wraps(method)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._connection.transact(partial(method, self, *args, **kwargs), durable=durable)

    return run

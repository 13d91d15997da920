"""What a database is asked for: three verbs and a transaction around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from fraisier_core.errors import StoreError

Parameters = Mapping[str, Any]
NONE: Parameters = MappingProxyType({})


class ConstraintError(StoreError):
    """The database refused a row: a key that exists already, a reference to nothing, or a rule of ours."""


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

    def transaction(self) -> AbstractContextManager[None]:
        """Commit durably what the block does, or roll back if it raises."""

    def fleeting_transaction(self) -> AbstractContextManager[None]:
        """As `transaction`, without waiting for the disk: for what only this boot needs."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what the block wrote if it raises, and keep the transaction around it."""

    def execute(self, sql: str, parameters: Parameters = NONE, /) -> int:
        """Run one statement, and return how many rows it changed."""

    def execute_many(self, sql: str, rows: Sequence[Parameters], /) -> None:
        """Run one statement for each row."""

    def all(self, sql: str, parameters: Parameters = NONE, /) -> Sequence[Row]:
        """Return the rows of a query."""


@cache
def statements(folder: Path, name: str) -> Mapping[str, str]:
    """Return the named statements of one `.sql` file; each follows a line `-- name: NAME`."""
    text = (folder / f"{name}.sql").read_text()
    blocks = (block.partition("\n") for block in text.split("-- name: ")[1:])
    return {title.strip(): sql.strip().rstrip(";") for title, _, sql in blocks}

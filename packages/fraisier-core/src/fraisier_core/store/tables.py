"""What a store holds, row by row: what checks, backups and copies of it work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

REPLACEMENT = "\ufffd"
"""What stands for the character NUL, which not every database has in text."""
Key = tuple[Any, ...]
Row = tuple[Any, ...]
State = Literal["draining", "moving", "moved", "unfinished", "archived"]
"""Why a store is closed to writers: its deployments end before it moves, it is being moved, it has moved, or
it is an unfinished copy or in an archive. One that is draining refuses claims alone.
"""


class Table(NamedTuple):
    """A table; its rows are read in the order of its key, at most `batch` at once. If others refer to them,
    they are changed and never deleted.
    """

    name: str
    key: tuple[str, ...]
    batch: int = 2000
    is_referred_to: bool = False


RECORDED = (
    Table("tb_fraises", ("id",), is_referred_to=True),
    Table("tb_environments", ("fraise_id", "environment"), is_referred_to=True),
    Table("tb_kinds", ("name",), is_referred_to=True),
    Table("tb_webhook_events", ("sequence",)),
    Table("tb_webhook_refs", ("sequence",)),
    Table("tb_webhook_payloads", ("sequence",), 100),
    Table("tb_refused_deliveries", ("sequence",)),
    Table("tb_deployment_events", ("sequence",)),
    Table("tb_deployment_logs", ("sequence",), 200),
    Table("tb_observers", ("name",)),
    Table("tb_untold", ("deployment_id", "observer")),
    Table("tb_branch_heads", ("fraise_id", "environment", "ref")),
    Table("tb_holds", ("id",)),
    Table("tb_tokens", ("id",)),
    Table("tb_audit_events", ("sequence",)),
)
FOLDED = (
    Table("tb_deployments", ("id",)),
    Table("tb_attempts", ("deployment_id", "host", "attempt")),
    Table("tb_steps", ("deployment_id", "host", "attempt", "number")),
    Table("tb_serving", ("fraise_id", "environment", "host")),
)
TABLES = RECORDED + FOLDED
"""Those that a copy holds, each after those that it refers to."""
NOT_COPIED = ("tb_leases", "tb_workers")
"""What only processes that live are in."""


class Closed(NamedTuple):
    """Why a store refuses writers, in words for them, and which command closed it, of several alike."""

    state: State
    message: str
    run: str = ""


class Summary(NamedTuple):
    """How large a record is: `version` is of the database, `migrations` are applied, `bytes` are on disk, and
    `oldest` is the time of its first row.
    """

    version: str
    migrations: tuple[str, ...]
    bytes: int
    deployments: int
    deployment_events: int
    deliveries: int
    bodies: int
    refused: int
    logs: int
    oldest: str | None


class Contents(Protocol):
    """The rows of a store; values compare equal whatever the database is, but for the character NUL in text,
    which not every database has. The `sequence` of a deployment is that of its request.
    """

    def snapshot(self) -> AbstractContextManager[None]:
        """Read everything inside the block as it was when the block began, while others write."""

    def columns(self, table: Table) -> tuple[str, ...]:
        """Return the columns of a table in their order."""

    def count(self, table: Table) -> int:
        """Return how many rows it has."""

    def read(
        self, table: Table, after: Key | None = None, last: Key | None = None, limit: int | None = None
    ) -> list[Row]:
        """Return the rows after a key, up to the last key, at most `limit`."""

    def running(self) -> list[tuple[str, int]]:
        """Return the id and the attempt of each deployment that is running."""

    def files(self) -> tuple[Path, ...]:
        """Return the files that it is kept in, none if that is up to a server."""

    def closed(self) -> Closed | None:
        """Return why the store refuses writers, None if it does not."""

    def missing(self) -> list[str]:
        """Return the names of the tables, indexes, rules and views that the migrations made and it lacks."""

    def faults(self) -> list[str]:
        """Return what is wrong with it as far as the database itself can tell, a line each."""

    def summary(self) -> Summary:
        """Return how large the record is."""


class WritableContents(Contents, Protocol):
    """The same, to be filled: no rule of the store is asked. Whoever changes it says how it is closed: unless
    it is so when the change is made, `ConflictError` is raised, for another command has taken it.
    """

    def replace(
        self, table: Table, stale: Sequence[Key], fresh: Sequence[Row], closed: Closed | None = None
    ) -> None:
        """Delete rows and write others, in place of those of the same key, in one transaction."""

    def forget_unended(self, closed: Closed) -> None:
        """Delete the deployments that have not ended, but not their events."""

    def count_on(self, closed: Closed) -> None:
        """Have numbers be given from now on that follow those that it holds."""

    def close_to_writers(
        self, closed: Closed, was: Closed | None, check: Callable[[], object] = lambda: None
    ) -> None:
        """Refuse every writer from now on, in every process; whoever writes now is waited for.

        Args:
            closed: why.
            was: how it is closed up to now.
            check: is called once no other can write; what it raises leaves the store as it was.
        """

    def open_to_writers(self, was: Closed) -> None:
        """Refuse no writer any more."""

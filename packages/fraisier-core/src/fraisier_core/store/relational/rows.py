"""The rows of a store over SQL, read and written as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraisier_core.errors import ConflictError, StoreError, UnreachableStoreError
from fraisier_core.store.relational.canonical import FORMS
from fraisier_core.store.relational.dialect import InterruptedTransactionError, statements, transaction
from fraisier_core.store.tables import FOLDED, NOT_COPIED, TABLES, Closed, Key, Row, Summary, Table

if TYPE_CHECKING:
    from fraisier_core.store.relational.dialect import Connection

SQL = Path(__file__).parent / "sql"


class RelationalContents:
    """Implements `tables.WritableContents` but for what each database does in a way of its own.

    Args:
        connection: to the database.
        dialect: the folder of its statements.
    """

    def __init__(self, connection: Connection, dialect: Path) -> None:
        self._connection = connection
        self._dialect = dialect
        self._sql = {**statements(SQL, "contents"), **statements(dialect, "catalog")}
        self._columns: dict[str, dict[str, str]] = {}

    def snapshot(self) -> AbstractContextManager[None]:
        return self._connection.snapshot()

    def columns(self, table: Table) -> tuple[str, ...]:
        return tuple(self._collations(table))

    def _collations(self, table: Table) -> dict[str, str]:
        """Return what has each column of a table compared by bytes."""
        if table.name not in self._columns:
            rows = self._connection.all(self._sql["columns"], {"name": table.name})
            self._columns[table.name] = {row["name"]: row["collation"] for row in rows}
        return self._columns[table.name]

    def count(self, table: Table) -> int:
        return int(self._connection.all(f"SELECT count(*) AS rows FROM {table.name}")[0]["rows"])  # noqa: S608

    def read(
        self, table: Table, after: Key | None = None, last: Key | None = None, limit: int | None = None
    ) -> list[Row]:
        columns = self.columns(table)
        sql = self._selection(table, after, last, limit)
        keys = {f"after_{i}": value for i, value in enumerate(after or ())}
        keys |= {f"last_{i}": value for i, value in enumerate(last or ())}
        try:
            found = self._connection.all(sql, keys)
        except (UnreachableStoreError, InterruptedTransactionError):
            raise
        except StoreError as error:
            raise StoreError(f"{_place(table, after)} and beyond: {error}") from error
        forms = [(place, FORMS[name]) for place, name in enumerate(columns) if name in FORMS]
        return [self._canonical(table, _values(row), forms) for row in found]

    def _canonical(self, table: Table, row: Row, forms: Sequence[tuple[int, Callable[[str], str]]]) -> Row:
        values, place = [*row], 0
        try:
            for place, form in forms:
                if row[place] is not None:
                    values[place] = form(row[place])
        except (TypeError, ValueError) as error:
            columns = self.columns(table)
            key = [row[columns.index(name)] for name in table.key]
            raise StoreError(f"{_place(table, key)}: {columns[place]} cannot be read: {error}") from error
        return tuple(values)

    def files(self) -> tuple[Path, ...]:
        return ()

    def closed(self) -> Closed | None:
        if not self._connection.all(self._sql["is_closed"]):
            return None
        rows = self._connection.all(self._sql["closed"])
        return Closed(rows[0]["state"], rows[0]["message"], rows[0]["run"]) if rows else None

    def summary(self) -> Summary:
        (row,) = self._connection.all(self._sql["summary"])
        migrations = self._connection.all(self._sql["migrations"])
        facts = {name: row[name] for name in Summary._fields if name != "migrations"}
        return Summary(migrations=tuple(each["name"] for each in migrations), **facts)

    def missing(self) -> list[str]:
        found = self._definitions()
        return [name for name in self._made() if name not in found]

    def faults(self) -> list[str]:
        found, made = self._definitions(), self._made()
        altered = [name for name in made if name in found and made[name] not in {None, found[name]}]
        checks = [sql for name, sql in self._sql.items() if name.startswith(self._checked())]
        return [
            *(f"{name} is not as its migration made it; restore a backup" for name in altered),
            *(str(row["fault"]) for sql in checks for row in self._connection.all(sql)),
        ]

    def _checked(self) -> tuple[str, ...]:
        """Return how the names of the statements begin that find faults; a store that is filled has neither
        leases nor counters.
        """
        closed = self.closed()
        is_filled = closed is not None and closed.state in {"unfinished", "archived"}
        return ("fault_",) if is_filled else ("fault_", "use_fault_")

    def _definitions(self) -> dict[str, str | None]:
        return {row["name"]: row["definition"] for row in self._connection.all(self._sql["objects"])}

    @transaction
    def replace(
        self, table: Table, stale: Sequence[Key], fresh: Sequence[Row], closed: Closed | None = None
    ) -> None:
        self._require(closed)
        with self._without_rules(table):
            self._delete(table, stale)
            self._upsert(table, fresh)

    @transaction
    def forget_unended(self, closed: Closed) -> None:
        self._require(closed)
        with self._without_rules(FOLDED[0]):
            self._connection.execute(self._sql["forget_unended"])

    @transaction
    def close_to_writers(
        self, closed: Closed, was: Closed | None, check: Callable[[], object] = lambda: None
    ) -> None:
        self._require(was)
        self._close(closed)
        check()

    @transaction
    def open_to_writers(self, was: Closed) -> None:
        self.put_in_use(was)

    def put_in_use(self, was: Closed) -> None:
        """Refuse no writer any more, inside the caller's transaction."""
        self._require(was)
        self._open()

    def _require(self, closed: Closed | None) -> None:
        """Raise `ConflictError` unless it is closed like that; it stays so in the caller's transaction."""
        self._lock_closed()
        found = self.closed()
        if found != closed:
            why = found.message if found else "it is open to every writer"
            raise ConflictError(f"another command has taken the store meanwhile, this one ends: {why}")

    @transaction
    def count_on(self, closed: Closed) -> None:
        self._require(closed)
        for name, sql in self._sql.items():
            if name.startswith("count_on_"):
                self._connection.all(sql)

    def running(self) -> list[tuple[str, int]]:
        """Return the id and the attempt of each deployment that is running."""
        return self._attempts("running")

    def waiting(self) -> list[tuple[str, int]]:
        """Return the id and the last attempt of each deployment that waits."""
        return self._attempts("pending")

    def _attempts(self, status: str) -> list[tuple[str, int]]:
        rows = self._connection.all(self._sql["attempts"], {"status": status})
        return [(str(row["id"]), int(row["attempt"])) for row in rows]

    def _made(self) -> Mapping[str, str | None]:
        """Return the names of what the migrations make and, where they can be compared, the definitions."""
        raise NotImplementedError

    def _without_rules(self, table: Table) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _lock_closed(self) -> None:
        """Keep others from closing or opening the store until the caller's transaction ends."""

    def _close(self, closed: Closed) -> None:
        raise NotImplementedError

    def _open(self) -> None:
        raise NotImplementedError

    def _upsert(self, table: Table, rows: Sequence[Row]) -> None:
        raise NotImplementedError

    def _selection(self, table: Table, after: Key | None, last: Key | None, limit: int | None) -> str:
        order = ", ".join(f"{name}{self._collations(table)[name]}" for name in table.key)
        wanted = [
            f"({order}) {relation} ({', '.join(f':{bound}_{i}' for i in range(len(table.key)))})"
            for bound, relation, key in (("after", ">", after), ("last", "<=", last))
            if key is not None
        ]
        where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
        selected = ", ".join(map(self._selected(table), self.columns(table)))
        rest = f"ORDER BY {order}" + ("" if limit is None else f" LIMIT {limit}")
        return f"SELECT {selected} FROM {table.name} AS d {where} {rest}"  # noqa: S608

    def _selected(self, table: Table) -> Any:
        """Return how a column is read."""
        request = self._sql["request_sequence"]
        is_folded = table.name == "tb_deployments"
        return lambda name: f"({request}) AS sequence" if is_folded and name == "sequence" else name

    def _delete(self, table: Table, keys: Sequence[Key]) -> None:
        equal = " AND ".join(f"{name} = :{name}" for name in table.key)
        rows = [dict(zip(table.key, key, strict=True)) for key in keys]
        if rows:
            self._connection.execute_many(f"DELETE FROM {table.name} WHERE {equal}", rows)  # noqa: S608


@cache
def guarded_tables() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the tables that a closed store guards, and what it refuses; of who lives, only to begin."""
    return (
        *((table.name, ("INSERT", "UPDATE", "DELETE")) for table in TABLES),
        *((name, ("INSERT", "UPDATE")) for name in NOT_COPIED),
    )


def _values(row: Any) -> Row:
    """Return the values of a row, which a database has by its columns or in their order."""
    return tuple(row.values()) if isinstance(row, dict) else tuple(row)


def _place(table: Table, key: Sequence[Any] | None) -> str:
    return " ".join([f"{table.name},", *map(str, key or ["the first row"])])

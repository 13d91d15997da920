"""Makes one store hold what another does, row by row and verified; begun again, it goes on where it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING

from fraisier_core.errors import ConflictError, StoreError
from fraisier_core.store.tables import (
    REPLACEMENT,
    TABLES,
    Closed,
    Contents,
    Key,
    Row,
    State,
    Table,
    WritableContents,
)
from fraisier_core.system.failpoints import failpoint

if TYPE_CHECKING:
    from fraisier_core.store.protocol import Store

Progress = Callable[[str, int, int], None]
"""Is told a table, how many of its rows are done, and how many there are."""
Range = tuple[Key | None, Key | None]
"""After a key, up to a key."""
_MADE_ON_OPENING = {"tb_kinds"}


def fill(source: Contents, target: WritableContents, closed: Closed, progress: Progress) -> int:
    """Make a store hold what another held when this began, compare every row, and return how many were
    written. Raises `StoreError` if one is another afterwards, and `ConflictError` once the target is closed
    otherwise than `closed` says. Failpoint: `copied_batch`.
    """
    target.forget_unended(closed)
    with source.snapshot():
        written = sum(copy_table(source, target, table, progress, closed) for table in TABLES)
    target.count_on(closed)
    return written


def copy_table(
    source: Contents, target: WritableContents, table: Table, progress: Progress, closed: Closed | None = None
) -> int:
    """Make a table hold what another does, compare every row, and return how many were written."""
    _require_same_columns(source, target, table)
    return sum(
        _fill_range(target, table, between, rows, closed)
        for between, rows in batches(source, table, progress)
    )


def batches(contents: Contents, table: Table, progress: Progress) -> Iterator[tuple[Range, dict[Key, Row]]]:
    """Yield all rows of a table by their keys, a batch at a time, each with the range that it fills."""
    total, done, after = contents.count(table), 0, None
    while True:
        rows = keyed(contents, table, contents.read(table, after, limit=table.batch))
        last = list(rows)[-1] if len(rows) == table.batch else None
        yield (after, last), rows
        done += len(rows)
        if rows or not total:
            progress(table.name, done, total)
        if last is None:
            return
        after = last


def _fill_range(
    target: WritableContents, table: Table, between: Range, rows: dict[Key, Row], closed: Closed | None
) -> int:
    found = keyed(target, table, target.read(table, *between))
    if found == rows:
        return 0
    same = {key for key, row in rows.items() if key in found and _plain(row) == _plain(found[key])}
    stale = [key for key in found if key not in (rows if table.is_referred_to else same)]
    fresh = [row for key, row in rows.items() if key not in same]
    if stale or fresh:
        target.replace(table, stale, fresh, closed)
        failpoint("copied_batch")
        _require_same(rows, keyed(target, table, target.read(table, *between)), table)
    return max(len(stale), len(fresh))


def _require_same(rows: Mapping[Key, Row], found: Mapping[Key, Row], table: Table) -> None:
    if rows.keys() != found.keys() or any(_plain(row) != _plain(found[key]) for key, row in rows.items()):
        raise StoreError(f"a copied row of {table.name} is not as it was; report this as a fault of Fraisier")


def _plain(row: Row) -> Row:
    """Return a row as a database has it whose text cannot hold the character NUL."""
    return tuple(value.replace("\0", REPLACEMENT) if isinstance(value, str) else value for value in row)


def keyed(contents: Contents, table: Table, rows: Iterable[Row]) -> dict[Key, Row]:
    """Return rows of a table by their keys."""
    columns = contents.columns(table)
    places = [columns.index(name) for name in table.key]
    return {tuple(row[place] for place in places): row for row in rows}


def _require_same_columns(source: Contents, target: Contents, table: Table) -> None:
    if source.columns(table) != target.columns(table):
        raise StoreError(f"{table.name} has other columns in each store; run `fraisier db migrate` on both")


def prepare(target: Store, whence: str) -> Closed:
    """Close a store that is to be filled, and return how: no other command that fills it goes on. Raises
    `ConflictError` if it is in use, or holds anything but an unfinished copy of the same.

    Args:
        target: the store.
        whence: what it is filled from, in words without secrets.
    """
    contents = target.contents()
    because = f"this store is an unfinished copy of {whence}; repeat what makes it, or name an empty database"
    wanted = Closed("unfinished", because, token_hex())
    closed = contents.closed()
    if closed is None:
        contents.close_to_writers(wanted, None, lambda: _require_empty(target))
    elif closed[:2] == wanted[:2]:
        contents.close_to_writers(wanted, closed)
    else:
        raise ConflictError(f"the target cannot be filled: {closed.message}")
    return wanted


def _require_empty(target: Store) -> None:
    if workers := target.live_workers():
        raise ConflictError(f"the target is in use (live workers: {workers}); stop every Fraisier process")
    if held := _filled_tables(target.contents()):
        raise ConflictError(f"the target is not empty, it has rows in {', '.join(held)}; name an empty one")


def _filled_tables(contents: Contents) -> list[str]:
    return [table.name for table in TABLES if table.name not in _MADE_ON_OPENING and contents.count(table)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Moves a record to another store for good.

    `target` opens the other store; `whence` and `whither` are what the stores are called, without secrets;
    `wait` waits a moment, and is told how many deployments have to end first;
    `token` tells this run from others.
    """

    source: Store
    target: Callable[[], Store]
    whence: str
    whither: str
    progress: Progress
    wait: Callable[[int], None]
    token: str = field(default_factory=token_hex)

    def run(self) -> bool:
        """Copy, close the source once nothing runs, copy the rest, and put the target in use; return whether
        that was still to be done. If it fails, the source is open again. Raises `ConflictError` if either
        cannot be taken.
        """
        source = self.source.contents()
        found = source.closed()
        if found is not None and found._replace(run=self.token) != self._closed(found.state):
            raise ConflictError(f"the source cannot be moved: {found.message}")
        is_moved = found is not None and found.state == "moved"
        try:
            closed = found if is_moved else self._taken_over(source, found)
            target = self.target()
            if is_moved and _is_in_use(target):
                return False
            filled = self._fill(source, target, closed)
        except BaseException:
            self._open_again(source)
            raise
        target.put_in_use(filled, ran="it ran when the record was moved")
        return True

    def _taken_over(self, source: WritableContents, found: Closed | None) -> Closed | None:
        """Close a source as it was closed, by this run: another one that moves it changes nothing more."""
        if found is None:
            return None
        mine = self._closed(found.state)
        source.close_to_writers(mine, found)
        return mine

    def _fill(self, source: WritableContents, target: Store, closed: Closed | None) -> Closed:
        """Fill the target from a source that is closed like that, and return how the target is closed."""
        filled = prepare(target, self.whence)
        fill(source, target.contents(), filled, self.progress)
        if closed is not None and closed.state == "moved":
            return filled
        draining, moving, moved = map(self._closed, _MOVES)
        if closed is None:
            source.close_to_writers(draining, None)
        while running := source.running():
            self.wait(len(running))
        if closed != moving:
            source.close_to_writers(moving, draining)
        failpoint("closed_source")
        fill(source, target.contents(), filled, self.progress)
        source.close_to_writers(moved, moving)
        return filled

    def _open_again(self, source: WritableContents) -> None:
        """Open the source to writers if this run has closed it, and it has not moved."""
        with suppress(StoreError, ConflictError):
            closed = source.closed()
            if closed in {self._closed("draining"), self._closed("moving")}:
                source.open_to_writers(closed)

    def _closed(self, state: State) -> Closed:
        return Closed(state, _MOVES.get(state, "").format(self.whither), self.token)


def _is_in_use(store: Store) -> bool:
    """Return whether a store holds something, and is open."""
    contents = store.contents()
    return contents.closed() is None and bool(_filled_tables(contents))


_AGAIN = "if that has failed, run `fraisier db copy` again, or with --abort"
_MOVES: dict[State, str] = {
    "draining": f"the store is being moved to {{}}: no deployment begins before it is there; {_AGAIN}",
    "moving": f"the store is being moved to {{}}: try again when it is there; {_AGAIN}",
    "moved": "the store has moved to {}: set database.url and restart every Fraisier process",
}


def abort(source: Store) -> None:
    """Open a store to writers that was being moved. Raises `ConflictError` if it was not, or has moved."""
    contents = source.contents()
    closed = contents.closed()
    if closed is None or closed.state not in {"draining", "moving"}:
        raise ConflictError(
            f"nothing to abort: {closed.message if closed else 'the store is not being moved'}"
        )
    contents.open_to_writers(closed)

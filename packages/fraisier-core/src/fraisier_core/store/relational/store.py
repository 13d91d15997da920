"""The whole store: webhooks, deployments, leases and everything that is read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fraisier_core.store.events import DeploymentEvent, Event, Forgotten, Observed, Untold
from fraisier_core.store.relational.dialect import fleeting_transaction, statements, transaction
from fraisier_core.store.relational.held_environments import Holds
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.processes import ProcessIdentity

if TYPE_CHECKING:
    from fraisier_core.store.relational.rows import RelationalContents
    from fraisier_core.store.tables import Closed

FOLDED_AT_ONCE = 10_000
LOOKED_AT_ONCE = 1000
BYTES_AT_ONCE = 1_000_000
"""How much is forgotten at once, if it is more than one row."""
_COLUMNS = ("name", "source", "lane", "supersedes", "shown", "job", "priority")


class RelationalStore(Holds):
    """Implements what of `protocol.Store` no database does in a way of its own."""

    @transaction
    def rebuild(self) -> None:
        """Fold again by `rebuild.sql`, in its order; `fold` for some events at a time: SQLite holds all that
        one statement folds in memory.
        """
        newest = 0
        for name, statement in statements(self.dialect, "rebuild").items():
            if name == "newest":
                (row,) = self._connection.all(statement)
                newest = row["sequence"]
            elif name == "fold":
                for after in range(0, newest, FOLDED_AT_ONCE):
                    self._connection.execute(statement, {"after": after, "until": after + FOLDED_AT_ONCE})
            else:
                self._connection.execute(statement)

    @transaction
    def put_in_use(self, closed: Closed, *, ran: str, waited: str | None = None) -> int:
        contents, me = self.contents(), ProcessIdentity.of(os.getpid())
        contents.put_in_use(closed)
        running, waiting = contents.running(), contents.waiting() if waited else []
        for deployment_id, attempt in running:
            self._append(self._take(deployment_id, attempt, me), [Event("interrupted", message=ran)])
        for deployment_id, attempt in waiting:
            lease = self._take(deployment_id, attempt + 1, me)
            self._append(lease, [Event("claimed"), Event("interrupted", message=waited)])
        return len(running) + len(waiting)

    def contents(self) -> RelationalContents:
        """Return what it holds, row by row."""
        raise NotImplementedError

    def forget(self, what: str, before: str, rows: int, after: int = 0) -> Forgotten:
        sql = statements(self.dialect, "retention")
        wanted = {"after": after, "before": before, "rows": LOOKED_AT_ONCE}
        found = [(row["sequence"], row["bytes"]) for row in self._connection.all(sql[what], wanted)]
        old = _first_old(found, rows)
        if old:
            self._delete(sql[f"delete_{what}"], old)
        if len(old) < sum(size is not None for _, size in found):
            return Forgotten(len(old), old[-1])
        return Forgotten(len(old), found[-1][0] if len(found) == LOOKED_AT_ONCE else 0)

    @fleeting_transaction
    def _delete(self, sql: str, sequences: Sequence[int]) -> None:
        self._connection.execute_many(sql, [{"sequence": each} for each in sequences])

    def observed(self, observer: str) -> Observed:
        known = self._records(Observed, "observed", name=observer)
        return (known or self._records(Observed, "last_event"))[0]

    @transaction
    def observe(self, observer: str, observed: Observed) -> None:
        self._write("observe", name=observer, **observed._asdict())

    @transaction
    def record_untold(self, event: DeploymentEvent, untold: Untold) -> None:
        about = {"deployment_id": event.deployment_id, "sequence": event.sequence}
        self._write("record_untold", **about, **untold._asdict())

    @transaction
    def forget_untold(self, event: DeploymentEvent, observer: str) -> None:
        about = {"deployment_id": event.deployment_id, "sequence": event.sequence}
        self._write("forget_untold", **about, observer=observer)

    def add_kinds(self) -> None:
        """Write the kinds of this version, if the store has others: its rules look them up."""
        wanted = [{column: asdict(kind)[column] for column in _COLUMNS} for kind in KINDS.values()]
        known = [{column: row[column] for column in _COLUMNS} for row in self._all("known_kinds")]
        missing = [row for row in wanted if row not in known]
        if missing:
            self._add_kinds(missing)

    @transaction
    def _add_kinds(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._connection.execute_many(self._sql["add_kind"], rows)


def _first_old(found: Sequence[tuple[int, int | None]], rows: int) -> list[int]:
    """Return the first of those that have a size, no more than `rows`, nor than may be deleted at once."""
    old: list[int] = []
    total = 0
    for sequence, size in found:
        total += size or 0
        if len(old) == rows or (old and total > BYTES_AT_ONCE):
            break
        old += [sequence] if size is not None else []
    return old

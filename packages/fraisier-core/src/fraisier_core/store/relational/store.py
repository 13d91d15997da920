"""The whole store: webhooks, deployments, leases and everything that is read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fraisier_core.store.records import Event, Observed
from fraisier_core.store.relational.branch_heads import BranchHeads
from fraisier_core.store.relational.dialect import fleeting_transaction, statements, transaction
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.processes import ProcessIdentity

if TYPE_CHECKING:
    from fraisier_core.store.relational.rows import RelationalContents

FOLDED_AT_ONCE = 10_000
_COLUMNS = ("name", "source", "lane", "supersedes", "shown", "priority")


class RelationalStore(BranchHeads):
    """Implements what of `protocol.Store` no database does in a way of its own."""

    @transaction
    def rebuild(self) -> None:
        """Fold again, some events at a time: SQLite holds all that one statement folds in memory."""
        sql = statements(self.dialect, "rebuild")
        for name, statement in sql.items():
            if name not in {"newest", "fold"}:
                self._connection.execute(statement)
        (newest,) = self._connection.all(sql["newest"])
        for after in range(0, newest["sequence"], FOLDED_AT_ONCE):
            self._connection.execute(sql["fold"], {"after": after, "until": after + FOLDED_AT_ONCE})

    @transaction
    def put_in_use(self, message: str) -> int:
        contents = self.contents()
        contents.put_in_use()
        running = contents.running()
        me = ProcessIdentity.of(os.getpid())
        for deployment_id, attempt in running:
            self._append(self._take(deployment_id, attempt, me), [Event("interrupted", message=message)])
        return len(running)

    def contents(self) -> RelationalContents:
        """Return what it holds, row by row."""
        raise NotImplementedError

    @fleeting_transaction
    def forget(self, what: str, before: str, rows: int) -> int:
        sql = statements(self.dialect, "retention")[what]
        return self._connection.execute(sql, {"before": before, "rows": rows})

    def observed(self, observer: str) -> Observed:
        known = self._records(Observed, "observed", name=observer)
        return (known or self._records(Observed, "last_event"))[0]

    @transaction
    def observe(self, observer: str, observed: Observed) -> None:
        self._write("observe", name=observer, **observed._asdict())

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

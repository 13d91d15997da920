"""The branches that environments follow, as their repositories had them: no part of the history."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fraisier_core.store.records import BranchHead
from fraisier_core.store.relational.deliveries import Deliveries
from fraisier_core.store.relational.dialect import transaction
from fraisier_core.system.host import utc_now


class BranchHeads(Deliveries):
    """The write side of what reconciling sees."""

    @transaction
    def record_heads(self, fraise_id: str, environment: str, heads: Sequence[BranchHead]) -> None:
        self._write("forget_branch_heads", fraise_id=fraise_id, environment=environment)
        self._connection.execute_many(self._sql["record_branch_head"], [each._asdict() for each in heads])

    @transaction
    def record_no_heads(self, fraise_id: str, environment: str, problem: str) -> None:
        row = BranchHead(fraise_id, environment, "", None, utc_now(), problem)
        self._write("record_branch_head", **row._asdict())

    @transaction
    def keep_heads(self, environments: Collection[tuple[str, str]]) -> None:
        for row in self._all("environments_with_heads"):
            if (row["fraise_id"], row["environment"]) not in environments:
                self._write("forget_branch_heads", fraise_id=row["fraise_id"], environment=row["environment"])

"""Holding environments and resuming them, and the windows in which they are frozen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import uuid_utils

from fraisier_core.store.holds import Window
from fraisier_core.store.relational.dialect import transaction
from fraisier_core.store.relational.issued_tokens import IssuedTokens


class Holds(IssuedTokens):
    """The write side of holds."""

    @transaction
    def hold(
        self, fraise_id: str, environment: str | None, reason: str, held_by: str, ends_at: str | None = None
    ) -> str:
        hold_id = _new_id()
        self._lock_environments(fraise_id, environment)
        what = {"fraise_id": fraise_id, "environment": environment, "reason": reason}
        self._write("insert_hold", id=hold_id, held_by=held_by, ends_at=ends_at, **what)
        return hold_id

    @transaction
    def resume(self, fraise_id: str, environment: str | None, resumed_by: str) -> list[str]:
        where = {"fraise_id": fraise_id, "environment": environment}
        return [str(row["id"]) for row in self._all("resume", resumed_by=resumed_by, **where)]

    def freeze(self, windows: Collection[Window], *, decides: bool) -> None:
        rows = self._all("freezes")
        found = {row["id"]: _window(row) for row in rows if not row["is_over"]}
        stale = [row["id"] for row in rows if row["is_over"]]
        if decides:
            stale += [name for name, window in found.items() if window not in windows]
            missing = [each for each in windows if each not in found.values()]
        else:
            rules = {each.rule for each in found.values()}
            missing = [each for each in windows if each.rule not in rules]
        if stale or missing:
            self._replace_windows(stale, missing)

    @transaction
    def _replace_windows(self, stale: Sequence[str], missing: Sequence[Window]) -> None:
        self._connection.execute_many(self._sql["delete_freeze"], [{"id": each} for each in stale])
        rows = [each._asdict() | {"id": _new_id()} for each in missing]
        self._connection.execute_many(self._sql["insert_freeze"], rows)

    def _lock_environments(self, fraise_id: str, environment: str | None) -> None:
        """Wait for whoever claims something in some environments, and keep others from it."""


def _window(row: Any) -> Window:
    return Window(*(row[name] for name in Window._fields))


def _new_id() -> str:
    return str(uuid_utils.uuid7())

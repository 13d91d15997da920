"""Watching a unit after its restart: it keeps its invocation and its state, or it has failed."""

from __future__ import annotations

import time
from collections.abc import Callable

from fraisier_core.errors import StepFailedError
from fraisier_core.system.journal import unit_journal
from fraisier_core.system.systemd import UnitState, unit_state

JOURNAL_LINES = 20
_JOURNAL_SECONDS = 0.2
_JOURNAL_READS = 3
_UNKNOWN_SECONDS = 3.0

Lines = list[tuple[str, bool]]
Note = Callable[[str], None]


class UnitWatch:
    """Whether a unit still is as it was when this was made; each call looks again.

    Args:
        unit: the unit, such as `api.service`.
        note: takes the last lines of its journal if it has failed, as `run.note` does.

    A call raises `StepFailedError` if the unit failed, ended, or was started anew, by systemd or by others;
    and if systemd has not told its state for three seconds.
    """

    def __init__(self, unit: str, note: Note) -> None:
        self._note = note
        self._started = unit_state(unit)
        self._told_at = time.monotonic()
        self._require_alive(self._started)

    def __call__(self) -> None:
        """Look at it."""
        try:
            now = unit_state(self._started.name)
        except StepFailedError:  # as while systemd executes itself anew
            if time.monotonic() - self._told_at > _UNKNOWN_SECONDS:
                raise
            return
        self._told_at = time.monotonic()
        same = {self._started.invocation_id, ""}  # one that is gone may have none
        if now.invocation_id not in same:
            by = f"restarted by systemd (NRestarts is {now.restarts})" if now.restarts else "started anew"
            raise unit_failure(f"{now.name} was {by}", self._started, self._note)
        self._require_alive(now)

    def note_journal(self) -> None:
        """Note what it said last, although it has not failed."""
        for line, _ in _last_lines(self._started.invocation_id):
            self._note(line)

    def _require_alive(self, unit: UnitState) -> None:
        if not unit.is_alive:
            raise unit_failure(str(unit), self._started, self._note)


def unit_failure(what: str, unit: UnitState, note: Note) -> StepFailedError:
    """Return an error that says what became of a unit and what it said last, after noting its journal.

    Args:
        what: what became of it.
        unit: its state while the invocation ran that is told of.
        note: takes the last lines of that invocation's journal.
    """
    lines = _last_lines(unit.invocation_id)
    for line, _ in lines:
        note(line)
    said = [line.strip().splitlines()[-1] for line, own in lines if own]
    last = f"; it said last: {said[-1]}" if said else ""
    more = "fraisier show has the end of its journal" if lines else f"see journalctl -u {unit.name}"
    return StepFailedError(f"{what}{last}; {more}")


def _last_lines(invocation_id: str) -> Lines:
    """Return what the journal ends with once nothing is added: what was said last may still be on its way."""
    lines = unit_journal(invocation_id, JOURNAL_LINES)
    for _ in range(_JOURNAL_READS):
        earlier = lines
        time.sleep(_JOURNAL_SECONDS)
        lines = unit_journal(invocation_id, JOURNAL_LINES)
        if lines == earlier:
            break
    return lines

"""The worker's side of `retention:`: a small batch at a time, so that no other writer waits for long."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fraisier_core.config.retention import RetentionSection
from fraisier_core.store.protocol import Store
from fraisier_core.system.host import utc_text

FIRST_ROWS = 50
"""How many rows a batch has at first, and at least: on a long way to the database fewer are no faster."""
MOST_ROWS = 1000
AIM_SECONDS = 0.025
"""How long a batch should take; one may take a few times as long before the next is smaller."""
TURN_SECONDS = 0.1
"""How long a turn may take before its last batch, and the pauses in which others write."""


@dataclass(slots=True)
class _Walk:
    """How large the next batch of a kind is, and the sequence that it comes after."""

    rows: int = FIRST_ROWS
    after: int = 0


class Forgetting:
    """Deletes what is older than it is to be kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._walks: dict[str, _Walk] = {}

    def turn(self, retention: RetentionSection) -> int:
        """Delete some of each kind that is not kept for ever, and return how many rows that were. Raises
        `StoreError`.
        """
        kept = {name: seconds for name, seconds in retention if seconds is not None}
        until = time.monotonic() + TURN_SECONDS
        return sum(self._forget(name, _before(seconds), until) for name, seconds in kept.items())

    def _forget(self, name: str, before: str, until: float) -> int:
        """Delete the oldest rows and, when those that come first are kept, of those beyond: a clock that was
        wrong may have given these a time that is to come.
        """
        walk = self._walks.setdefault(name, _Walk())
        deleted = 0
        for beginning in (0, walk.after):
            walk.after = beginning
            while found := self._batch(name, before, walk):
                deleted += found
                if time.monotonic() >= until:
                    return deleted
        return deleted

    def _batch(self, name: str, before: str, walk: _Walk) -> int:
        """Delete a batch, then leave the others as much time as it took, and return how many rows it had."""
        started = time.monotonic()
        deleted, walk.after = self._store.forget(name, before, walk.rows, walk.after)
        took = time.monotonic() - started
        if deleted:  # looking takes no time that says anything
            walk.rows = max(FIRST_ROWS, min(MOST_ROWS, int(walk.rows * min(2.0, AIM_SECONDS / took))))
            time.sleep(took)
        return deleted


def _before(seconds: float) -> str:
    """Return the time so many seconds ago, as the store writes it."""
    return utc_text(datetime.now(UTC) - timedelta(seconds=seconds))

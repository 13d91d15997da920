"""The worker's side of `retention:`: a small batch at a time, so that no other writer waits for long."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from fraisier_core.config.retention import RetentionSection
from fraisier_core.store.protocol import Store

FIRST_ROWS = 20
MOST_ROWS = 1000
AIM_SECONDS = 0.01
"""How long a batch should take; one may take a few times as long before the next is smaller."""


class Forgetting:
    """Deletes what is older than it is to be kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[str, int] = {}

    def turn(self, retention: RetentionSection) -> int:
        """Delete a batch of each kind that is not kept for ever, and return how many rows that were. Raises
        `StoreError`.
        """
        kept = {name: seconds for name, seconds in retention if seconds is not None}
        return sum(self._forget(name, seconds) for name, seconds in kept.items())

    def _forget(self, name: str, seconds: float) -> int:
        rows = self._rows.get(name, FIRST_ROWS)
        before = datetime.now(UTC) - timedelta(seconds=seconds)
        started = time.monotonic()
        deleted = self._store.forget(name, before.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), rows)
        took = time.monotonic() - started
        self._rows[name] = max(1, min(MOST_ROWS, int(rows * min(2.0, AIM_SECONDS / took))))
        return deleted

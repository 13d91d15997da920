"""Whether deployments leave a moment to others."""

from __future__ import annotations

import time
from dataclasses import dataclass

CALM_SECONDS = 0.3
LONGEST_STIR_SECONDS = 3.0


@dataclass(slots=True)
class Calm:
    """Knows from the `position` of the record whether anything happens: most deployments without commands of
    their own are over before it is calm again.
    """

    position: int
    longest_stir_seconds: float = LONGEST_STIR_SECONDS
    _changed: float = float("-inf")
    _stirred: float = float("inf")

    def lasts(self, position: int) -> bool:
        """Take in the position, and return whether it has not changed for a moment, or goes on to change for
        too long to wait.
        """
        now = time.monotonic()
        if position != self.position:
            self.position, self._changed = position, now
            self._stirred = min(self._stirred, now)
        if now - self._changed >= CALM_SECONDS:
            self._stirred = float("inf")
            return True
        return now - self._stirred >= self.longest_stir_seconds

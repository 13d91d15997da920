"""How long to wait before something that ended is started again."""

from __future__ import annotations

import time

from fraisier_core.system.timing import FIRST_PAUSE, LONGEST_PAUSE


class Backoff:
    """Twice as long each time, unless what ended had run for longer than the longest pause."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE
        self._started = time.monotonic()
        self._due = 0.0

    @property
    def is_due(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return time.monotonic() >= self._due

    def started(self) -> None:
        """Note that it starts now."""
        self._started = time.monotonic()

    def pause(self) -> float:
        """Return the seconds to wait after it ended."""
        if time.monotonic() - self._started > LONGEST_PAUSE:
            self._pause = FIRST_PAUSE
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        self.postpone(pause)
        return pause

    def postpone(self, seconds: float) -> None:
        """Have it wait, however it ended."""
        self._due = time.monotonic() + seconds

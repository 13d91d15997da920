"""Whether to go on probing: a release that has failed for certain is not probed any further."""

from __future__ import annotations

import time
from collections.abc import Callable

from fraisier_core.system.commands import Interruption
from fraisier_core.system.unit_watch import UnitWatch

Look = Callable[[], object]

TICK_SECONDS = 0.25


class Watch:
    """What a verification heeds beside its probes: a cancellation, and whatever raises if the service failed.

    It may be asked as often as one likes, by a probe under way too, and looks a few times a second.
    """

    def __init__(self, cancelled: Interruption) -> None:
        self._cancelled = cancelled
        self._looks: list[Look] = []
        self._next = 0.0
        self._failure: Exception | None = None

    def __bool__(self) -> bool:
        return bool(self._looks)

    def add(self, look: Look | None) -> None:
        """Add what raises `StepFailedError` once the service failed; None can tell nothing."""
        self._looks += [look] if look is not None else []

    def note_journals(self) -> None:
        """Note what the units said last that are watched."""
        for look in self._looks:
            if isinstance(look, UnitWatch):
                look.note_journal()

    def is_set(self) -> bool:
        """Whether the attempt is cancelled. Raises what `look` raises."""
        self.look()
        return self._cancelled.is_set()

    def look(self, *, now: bool = False) -> None:
        """Raise what says that the service failed, each time from then on.

        Args:
            now: look, even if the last time was a moment ago.
        """
        if self._failure is not None:
            raise self._failure
        if now or time.monotonic() >= self._next:
            self._look()
            self._next = time.monotonic() + TICK_SECONDS

    def _look(self) -> None:
        try:
            for look in self._looks:
                look()
        except Exception as error:
            self._failure = error
            raise

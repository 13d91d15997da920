"""Why an attempt must stop, passed to whatever it is doing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fraisier_core.errors import CancelledError, FraisierError


class CancellationToken:
    """A reason to stop, set by one thread and checked by another."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._reason: FraisierError | None = None
        self._cancellable = True

    def cancel(self, reason: FraisierError) -> None:
        """Request that the attempt stops; the first reason stands, unless it was a cancellation."""
        if isinstance(reason, CancelledError) and not self._cancellable:
            return
        if self._reason is None or isinstance(self._reason, CancelledError):
            self._reason = reason
        self.event.set()

    def check(self) -> None:
        """Raise the reason, if there is one."""
        if self._reason is not None:
            raise self._reason

    def withdraw(self) -> None:
        """Go on after a cancellation, and heed no other one: what was activated has to be rolled back."""
        self._cancellable = False
        if isinstance(self._reason, CancelledError):
            self._reason = None
            self.event.clear()

    def wait(self, seconds: float) -> None:
        """Wait, but raise the reason at once if there is one."""
        self.event.wait(seconds)
        self.check()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise the reason in place of whatever it made the block raise."""
        try:
            yield
        except FraisierError:
            self.check()
            raise

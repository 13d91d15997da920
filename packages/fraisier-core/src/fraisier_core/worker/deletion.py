"""Having old releases deleted when nothing executes: deleting many files slows what is deployed meanwhile."""

from __future__ import annotations

import logging
import time
from multiprocessing.connection import Connection
from pathlib import Path

from fraisier_core.system.backoff import Backoff
from fraisier_core.system.timing import DELETION
from fraisier_core.worker.dispatcher import Dispatcher
from fraisier_core.worker.jobs import DELETE

logger = logging.getLogger(__name__)


class Deletion:
    """Starts the process that deletes if something may have been set aside, and ends it for a deployment."""

    def __init__(self, dispatcher: Dispatcher, state_dir: Path) -> None:
        self._dispatcher = dispatcher
        self._state_dir = state_dir
        self._backoff = Backoff()
        self._process: Connection | None = None
        self._since: float | None = time.monotonic()

    def note(self) -> None:
        """Note that something may have been set aside."""
        self._since = self._since or time.monotonic()

    def turn(self, *, is_quiet: bool) -> None:
        """Start the process if nothing executes or happens, or something waits for long, or end it."""
        if self._since is None or not self._backoff.is_due:
            return
        may_run = is_quiet or time.monotonic() - self._since > DELETION
        if may_run and self._process is None:
            self._backoff.started()
            self._process = self._dispatcher.start(DELETE, str(self._state_dir), self._ended)
        elif self._dispatcher.busy and not may_run and self._process is not None:
            self._dispatcher.stop(self._process)
            self._process = None

    def _ended(self, answer: object) -> None:
        self._process = None
        if answer is not None:
            self._since = None
            return
        message = "the process that deletes old releases is gone; it is started again in %g s"
        logger.error(message, self._backoff.pause())

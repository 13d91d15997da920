"""The worker's side of the process `observers`, which shares nothing with it but the configuration file."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from fraisier_core.plugins import OBSERVERS, Plugins
from fraisier_core.system.backoff import Backoff

logger = logging.getLogger(__name__)

STOP_SECONDS = 5.0


class ObserversProcess:
    """The process, started again, later and later, if it ends by an error; if there are observers."""

    def __init__(self, config: Path, plugins: Plugins) -> None:
        self._command = [sys.executable, "-P", "-m", "fraisier_core.worker.observing", str(config)]
        self._is_needed = bool(plugins.names(OBSERVERS))
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = Backoff()

    def watch(self) -> None:
        """Start the process if it is needed, not there, and its time has come; never waits."""
        if self._process is not None and self._process.poll() is not None:
            self._note_end(self._process)
        if self._is_needed and self._process is None and self._backoff.is_due:
            self._backoff.started()
            self._start()

    def close(self) -> None:
        """End the process; what it was telling is told again by the next one."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=STOP_SECONDS)
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            message = "the process observers cannot be started (%s); again in %g s"
            logger.error(message, error, self._backoff.pause())

    def _note_end(self, process: subprocess.Popen[bytes]) -> None:
        process.communicate()
        self._process = None
        if status := process.returncode:  # without an error, the configuration changed: start at once
            message = "the process observers ended with status %d; started again in %g s"
            logger.error(message, status, self._backoff.pause())

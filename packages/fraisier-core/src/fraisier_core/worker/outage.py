"""What keeps a worker from its work: said once, however often it is tried again."""

from __future__ import annotations

import logging

from fraisier_core.errors import FraisierError

logger = logging.getLogger(__name__)


class Outage:
    """From the first error until the worker gets through again."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    @property
    def lasts(self) -> bool:
        """Whether the last attempt failed."""
        return bool(self._said)

    def note(self, error: FraisierError) -> None:
        """Take in why an attempt failed, and log what was not said yet."""
        if str(error) not in self._said:
            self._said.add(str(error))
            logger.error("%s", error)

    def end(self) -> None:
        """Take in that an attempt succeeded."""
        if self._said:
            logger.info("the worker works again")
            self._said.clear()

"""Recording refused deliveries, slowly enough that no client can keep the disk busy with them."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from fraisier_core.errors import StoreError
from fraisier_core.store.protocol import Store
from fraisier_core.system.host import utc_now

from fraisier.terminal import clean_line

logger = logging.getLogger(__name__)

PER_SECOND = 5
MAX_CLIENT_LENGTH = 100
MAX_REASON_LENGTH = 500


class Refusals:
    """A bounded record that answers "why did my push not deploy?"."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._second = 0
        self._written = 0

    async def add(self, provider: str, client: str, reason: str) -> None:
        """Remember a refusal, unless this second has seen enough; `client` may be any text."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._written = second, 0
        self._written += 1
        if self._written > PER_SECOND:
            return
        client = clean_line(client)[:MAX_CLIENT_LENGTH]
        reason = clean_line(reason)[:MAX_REASON_LENGTH]
        logger.warning("refused a delivery for %s from %s: %s", provider, client, reason)
        with suppress(StoreError):
            await self._store.refuse(provider, utc_now(), client, reason)

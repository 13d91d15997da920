"""The record of refused deliveries."""

from __future__ import annotations

import logging
import time
from collections import Counter
from contextlib import suppress

from fraisier_core.errors import StoreError
from fraisier_core.store.protocol import Store
from fraisier_core.system.host import utc_now

from fraisier.senders import Address, client_of
from fraisier.terminal import clean_line

logger = logging.getLogger(__name__)

PER_SECOND = 20
PER_SECOND_OF_A_CLIENT = 5
MAX_REASON_LENGTH = 500
UNKNOWN = "an unknown address"


class Refusals:
    """Answers "why did my push not deploy?", in a record that no client can keep the disk busy with, nor
    keep others out of.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._second = 0
        self._written: Counter[Address | None] = Counter()

    async def add(self, provider: str, sender: Address | None, reason: str) -> None:
        """Remember a refusal, unless this second has seen enough, of its client or in all."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._written = second, Counter()
        counted = client_of(sender)
        if self._written[counted] == PER_SECOND_OF_A_CLIENT or self._written.total() == PER_SECOND:
            return
        self._written[counted] += 1
        client = str(sender or UNKNOWN)
        reason = clean_line(reason)[:MAX_REASON_LENGTH]
        logger.warning("refused a delivery for %s from %s: %s", provider, client, reason)
        with suppress(StoreError):
            await self._store.refuse(provider, utc_now(), client, reason)

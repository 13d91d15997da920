"""The record of refusals: every kind of them, however often each comes."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from fraisier_core.errors import StoreError
from fraisier_core.store.tokens import AuditEvent
from fraisier_core.store.vocabulary import AuditedAction
from fraisier_core.system.host import utc_now
from fraisier_core.text.printable import printable

if TYPE_CHECKING:
    from fraisier_core.store.protocol import Store

logger = logging.getLogger(__name__)

COUNTED_SECONDS = 600.0
MOST_KINDS = 20
MAX_LENGTH = 200


class Refusal(NamedTuple):
    """What was refused to whom, and why; nothing of what a client sent but the names of what it asked for."""

    action: AuditedAction
    actor: str | None
    subject: str | None
    detail: str


class AuditedRefusals:
    """Writes the first refusal of each kind at once and counts those after it, so that no client can fill the
    disk: `COUNTED_SECONDS` later, the count is a second row. Beyond `MOST_KINDS` all are one until then.

    Args:
        store: is written to; if it cannot be, the log has it.
        clock: tells seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._began = clock()
        self._kinds: set[Refusal] = set()
        self._counts: Counter[Refusal] = Counter()

    def add(self, refusal: Refusal) -> None:
        """Record a refusal, or count it."""
        self.write_due()
        kind = refusal
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            kind = Refusal(refusal.action, None, None, "others")
        elif kind not in self._kinds:
            self._kinds.add(kind)
            self._write(kind, 1)
            return
        self._counts[kind] += 1

    def write_due(self) -> None:
        """Write the counts once their time is over."""
        now = self._clock()
        if now - self._began >= COUNTED_SECONDS:
            self.write_counts()
            self._kinds.clear()
            self._began = now

    def write_counts(self) -> None:
        """Write the counts now."""
        counts, self._counts = self._counts, Counter()
        for kind, count in counts.items():
            self._write(kind, count)

    def _write(self, kind: Refusal, count: int) -> None:
        subject = None if kind.subject is None else " ".join(printable(kind.subject).split())[:MAX_LENGTH]
        event = AuditEvent(utc_now(), kind.actor, kind.action, subject, kind.detail, count)
        told = ", ".join(filter(None, (kind.actor, subject, kind.detail)))
        logger.warning("%s (%d): %s", kind.action.replace("_", " "), count, told)
        try:
            self._store.audit(event)
        except StoreError as error:
            logger.error("the audit cannot be written: %s", error)

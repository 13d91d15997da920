"""The worker's side of runs that units execute: it has those started that nothing else has started."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable
from multiprocessing.connection import Connection

from fraisier_core.errors import FraisierError
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Event
from fraisier_core.system.backoff import Backoff
from fraisier_core.system.host import has_systemd
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.text.printable import printable
from fraisier_core.units.starting import Started, Waiting
from fraisier_core.worker.dispatcher import Dispatcher
from fraisier_core.worker.jobs import START

logger = logging.getLogger(__name__)

MOST_STARTS = 5
"""How often a unit is started that ends before it claims its run."""
GRACE_SECONDS = 1.0
"""Who requested a run starts its unit; the worker only if it is still missing after that."""


class UnitStarter:
    """Has the units of waiting runs started by a process of its own: systemd may be slow to answer."""

    def __init__(self, dispatcher: Dispatcher, store: Store, me: ProcessIdentity) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._me = me
        self._backoff = Backoff()
        self._starts: Counter[str] = Counter()
        self._seen: dict[str, float] = {}
        self._process: Connection | None = None
        self._is_used = has_systemd()

    def turn(self) -> None:
        """Have started what waits; never waits itself. Raises `StoreError`."""
        if not self._is_used or self._process is not None or not self._backoff.is_due:
            return
        now = time.monotonic()
        found = [Waiting(each.fraise_id, each.environment, each.id) for each in self._store.awaiting_units()]
        self._seen = {each.deployment_id: self._seen.get(each.deployment_id, now) for each in found}
        self._starts = Counter({name: self._starts[name] for name in self._seen})
        waiting = [each for each in found if now - self._seen[each.deployment_id] >= GRACE_SECONDS]
        if waiting:
            self._backoff.started()
            self._process = self._dispatcher.start(START, waiting, self._ended)

    def _ended(self, answer: object) -> None:
        self._process = None
        if not isinstance(answer, list):
            logger.error("the process that starts units is gone")
            self._backoff.pause()
            return
        if any(each.is_new or each.problem for each in answer):
            self._backoff.pause()
        self._take(answer)

    def _take(self, started: Iterable[Started]) -> None:
        for each in started:
            self._starts[each.deployment_id] += each.is_new
            ended_early = self._starts[each.deployment_id] > MOST_STARTS
            if each.is_final or ended_early:
                self._fail(each.deployment_id, each.problem or _ENDED_EARLY)
            elif each.problem:
                logger.error("run %s: %s", each.deployment_id, printable(each.problem))

    def _fail(self, deployment_id: str, problem: str) -> None:
        """End a run as failed, unless it was claimed meanwhile."""
        logger.error("run %s fails: %s", deployment_id, printable(problem))
        try:
            if claimed := self._store.claim(self._me, deployment_id):
                self._store.append(claimed.lease, Event("failed", message=f"{problem}; nothing was done"))
        except FraisierError as error:
            logger.error("run %s: %s", deployment_id, error)


_ENDED_EARLY = (
    f"its unit was started {MOST_STARTS} times and never claimed it: see the journal of fraisier-run-*"
)

"""The worker's side of runs that units execute: it has those started that nothing else has started."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from fraisier_core.config.source import ConfigSource
from fraisier_core.errors import FraisierError, UnknownNameError
from fraisier_core.store.events import Event
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment
from fraisier_core.system.backoff import Backoff
from fraisier_core.system.host import has_systemd
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.system.timing import FIRST_PAUSE, LONGEST_PAUSE
from fraisier_core.text.printable import printable
from fraisier_core.units.job import Job
from fraisier_core.units.starting import Started, Waiting
from fraisier_core.worker.dispatcher import Dispatcher
from fraisier_core.worker.jobs import START

logger = logging.getLogger(__name__)

MOST_TRIES, PATIENCE = 5, 60.0
"""How often, and for how many seconds, a unit is tried to start before its run fails."""
GRACE_SECONDS = 1.0
"""Who requested a run starts its unit; the worker only if it is still missing after that."""


@dataclass(slots=True)
class Tries:
    """How often the unit of a run was tried to start, and when it may be again; times are of one clock.

    Args:
        seen: when the run was first seen to wait for its unit.
        first: when it was first tried.
        due: when the next time is.
        count: how often it was.
    """

    seen: float
    first: float = 0.0
    due: float = 0.0
    count: int = 0

    def are_due(self, now: float) -> bool:
        """Whether it is to be tried."""
        return now >= max(self.seen + GRACE_SECONDS, self.due)

    def are_enough(self, now: float) -> bool:
        """Whether there were so many, over such a time, that no more would help."""
        return self.count >= MOST_TRIES and now - self.first >= PATIENCE

    def add(self, now: float) -> None:
        """Note another."""
        self.first = self.first if self.count else now
        self.due = now + min(FIRST_PAUSE * 2**self.count, LONGEST_PAUSE)
        self.count += 1


class UnitStarter:
    """Has the units of waiting runs started by a process of its own: systemd may be slow to answer.
    `left_to_worker` are the runs that were requested of a unit where none is to execute them any more.
    """

    def __init__(
        self, dispatcher: Dispatcher, store: Store, source: ConfigSource, me: ProcessIdentity
    ) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._source = source
        self._me = me
        self._backoff = Backoff()
        self._tries: dict[str, Tries] = {}
        self._process: Connection | None = None
        self.left_to_worker: list[str] = []

    def turn(self) -> None:
        """Have started what waits; never waits itself. Raises `StoreError`."""
        now = time.monotonic()
        found = self._store.awaiting_units()
        of_units = [each for each in found if self._has_unit(each)]
        self.left_to_worker = [each.id for each in found if each not in of_units]
        self._tries = {each.id: self._tries.get(each.id) or Tries(now) for each in of_units}
        if self._process is not None or not self._backoff.is_due:
            return
        due = [each for each in of_units if self._tries[each.id].are_due(now)]
        if due:
            self._backoff.started()
            waiting = [Waiting(each.fraise_id, each.environment, each.id) for each in due]
            self._process = self._dispatcher.start(START, waiting, self._ended)

    def _has_unit(self, each: Deployment) -> bool:
        """Whether a unit of this host is to execute a run; if that is unknown, it is as it was requested."""
        if not has_systemd():
            return False
        try:
            found = self._source.current().named_environment(each.fraise_id, each.environment)
            return Job.of(found) is not None
        except UnknownNameError:
            return False
        except FraisierError:
            return True

    def _ended(self, answer: object) -> None:
        self._process = None
        if isinstance(answer, list):
            self._take(answer)
        else:
            logger.error("the process that starts units is gone")
            self._backoff.pause()

    def _take(self, started: Iterable[Started]) -> None:
        now = time.monotonic()
        for each in started:
            if (tries := self._tries.get(each.deployment_id)) is None:
                continue  # it waits no more
            tries.add(now)
            if each.outcome == "not installed" or (each.outcome != "unanswered" and tries.are_enough(now)):
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


_ENDED_EARLY = "its unit was started again and again, and never claimed it: see the journal of fraisier-run-*"

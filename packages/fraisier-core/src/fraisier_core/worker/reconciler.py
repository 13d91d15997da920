"""The worker's side of reconciling: it has repositories asked, and requests what was missed."""

from __future__ import annotations

import logging
import math
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

from fraisier_core.config import Config, Environment
from fraisier_core.config.source import ConfigSource
from fraisier_core.errors import FraisierError, StoreError
from fraisier_core.requests.following import reconcile_section
from fraisier_core.requests.reconciling import (
    Finding,
    Heads,
    Question,
    Questions,
    record_heads,
    request_missed,
)
from fraisier_core.store.protocol import Store
from fraisier_core.system.host import utc_now
from fraisier_core.system.timing import FIRST_PAUSE, HEADS, HEADS_GRACE, LONGEST_PAUSE_OF_HEADS
from fraisier_core.text.printable import printable
from fraisier_core.worker.dispatcher import Dispatcher
from fraisier_core.worker.jobs import ASK

logger = logging.getLogger(__name__)

AT_ONCE = 4
LONGEST_START = 600.0
"""A tenth of it passes at most until the first question: what was missed is deployed soon after a start."""
REQUESTED_BY = "reconcile"


def jittered(seconds: float) -> float:
    """Return about an interval, so that many hosts do not ask one forge at the same moment."""
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class Pace:
    """How often repositories are asked, and for how long.

    Args:
        pause: returns, for an interval in seconds, how many to wait until the next question.
        timeout: seconds until a process that asks is given up.
    """

    pause: Callable[[float], float] = jittered
    timeout: float = HEADS + HEADS_GRACE


@dataclass(slots=True)
class Schedule:
    """When a repository is asked next, for whom, and how that went so far; times in seconds of the monotonic
    clock.
    """

    environments: list[Environment]
    due: float
    failures: int = 0
    problem: str | None = None
    process: Connection | None = None
    started: float = 0.0
    seen_at: str = ""

    @property
    def every(self) -> float:
        """The shortest interval of its environments."""
        sections = filter(None, map(reconcile_section, self.environments))
        return min(section.every for section in sections)

    @property
    def names(self) -> str:
        """Its environments, for a sentence."""
        return ", ".join(f"{each.fraise} {each.name}" for each in self.environments)


class Reconciler:
    """Has each repository asked by one process at a time, a few repositories at once, with growing pauses
    while one does not answer, or what it answers cannot be stored.
    """

    def __init__(self, dispatcher: Dispatcher, store: Store, source: ConfigSource, pace: Pace) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._source = source
        self._pace = pace
        self._config: Config | None = None
        self._schedules: dict[Question, Schedule] = {}

    def turn(self) -> None:
        """Have asked what is due, and give up what takes too long; never waits."""
        self._follow(self._source.current())
        now = time.monotonic()
        for question, each in self._schedules.items():
            if each.process is not None and now - each.started > self._pace.timeout:
                self._dispatcher.stop(each.process)
                self._answered(question, None)
            elif each.process is None and now >= each.due and self._asking() < AT_ONCE:
                self._ask(question, each)

    def _asking(self) -> int:
        return sum(each.process is not None for each in self._schedules.values())

    def _follow(self, config: Config) -> None:
        """Schedule what a configuration wants reconciled; what is scheduled already stays so."""
        if config is self._config or not self._keep(config):
            return
        self._config = config
        questions = Questions.of(config, filter(reconcile_section, config.environments))
        before, self._schedules = self._schedules, {}
        for question, those in questions.asked.items():
            self._schedules[question] = self._scheduled(before.pop(question, None), those)
        for left in before.values():
            if left.process is not None:
                self._dispatcher.stop(left.process)
        for (fraise, environment), problem in questions.problems.items():
            self._record_problem(fraise, environment, problem)
            logger.error("%s %s cannot be reconciled: %s", fraise, environment, problem)

    def _keep(self, config: Config) -> bool:
        """Keep only what was seen for environments that are reconciled, as nothing renews the rest; return
        whether that could be stored.
        """
        try:
            self._store.keep_heads(
                {(each.fraise, each.name) for each in config.environments if reconcile_section(each)}
            )
        except StoreError as error:
            logger.error("%s", error)
            return False
        return True

    def _scheduled(self, known: Schedule | None, environments: list[Environment]) -> Schedule:
        """Return a new schedule, or a known one, which a shorter interval brings forward."""
        each = known or Schedule(environments, math.inf)
        each.environments = environments
        wait = self._pace.pause(each.every if known else min(each.every, LONGEST_START) / 10)
        each.due = min(each.due, time.monotonic() + wait)
        return each

    def _ask(self, question: Question, each: Schedule) -> None:
        each.started, each.seen_at = time.monotonic(), utc_now()
        each.process = self._dispatcher.start(ASK, question, partial(self._answered, question))

    def _answered(self, question: Question, answer: object) -> None:
        each = self._schedules[question]
        each.process = None
        if isinstance(answer, Mapping):
            self._take(each, answer)
        else:
            silent = "the process that asks the repository for its branches hung, or is gone"
            self._unanswered(each, str(answer or silent))

    def _unanswered(self, each: Schedule, problem: str) -> None:
        each.failures += 1
        wait = min(each.every * 2 ** min(each.failures, 10), max(each.every, LONGEST_PAUSE_OF_HEADS))
        each.due = time.monotonic() + self._pace.pause(wait)
        for environment in each.environments:
            self._record_problem(environment.fraise, environment.name, problem)
        if each.problem is None or _without_numbers(problem) != _without_numbers(each.problem):
            again = "the repository is asked again, less and less often"
            logger.error("%s cannot be reconciled: %s; %s", each.names, printable(problem), again)
        each.problem = problem

    def _take(self, each: Schedule, heads: Heads) -> None:
        if each.problem is not None:
            logger.info("the repository of %s answers again", each.names)
        each.problem = None
        stored = [self._reconciled(environment, heads, each.seen_at) for environment in each.environments]
        each.failures = 0 if all(stored) else each.failures + 1
        wait = FIRST_PAUSE * 2 ** min(each.failures, 20) if each.failures else each.every
        each.due = time.monotonic() + self._pace.pause(min(wait, each.every))

    def _reconciled(self, environment: Environment, heads: Heads, seen_at: str) -> bool:
        """Reconcile an environment, and return whether the store took it."""
        try:
            self._reconcile(environment, heads, seen_at)
        except FraisierError as error:
            logger.error("%s %s cannot be reconciled: %s", environment.fraise, environment.name, error)
            return not isinstance(error, StoreError)
        return True

    def _reconcile(self, environment: Environment, heads: Heads, seen_at: str) -> None:
        assert self._config is not None  # noqa: S101 - what is scheduled is of it
        for found in record_heads(self._store, self._config, environment, heads, seen_at):
            section = reconcile_section(environment)
            if section and section.action == "deploy" and found.drift.action == "deploy":
                self._deploy(found)

    def _deploy(self, found: Finding) -> None:
        deployment_id = request_missed(self._store, found, REQUESTED_BY)
        what = f"{found.branch.head} of {found.branch.ref} for {found.environment.fraise}"
        logger.info("missed: %s %s: deployment %s", what, found.environment.name, deployment_id)

    def _record_problem(self, fraise: str, environment: str, problem: str) -> None:
        try:
            self._store.record_no_heads(fraise, environment, problem)
        except FraisierError as error:
            logger.error("%s", error)


def _without_numbers(problem: str) -> str:
    """Return a problem without what differs each time, as after how many milliseconds a connection failed."""
    return re.sub(r"\d+", "", problem)

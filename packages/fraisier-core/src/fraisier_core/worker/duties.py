"""What an observer is called for: changes of deployments, jobs that did not run in time, its own deliveries.

Each duty says what to call next, if anything is due, and takes in how that ended.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from fraisier_core.observer_context import Missed
from fraisier_core.plugins import Observer
from fraisier_core.settings import ObserverSettings
from fraisier_core.store.events import DeploymentEvent, Observed, Untold
from fraisier_core.store.holds import Hold
from fraisier_core.system.host import utc_now
from fraisier_core.text.printable import printable
from fraisier_core.text.redaction import Redactor, mask, merged
from fraisier_core.worker.observer_facts import ObserverFacts
from fraisier_core.worker.printed import Excerpt
from fraisier_core.worker.telling import Outcome
from fraisier_core.worker.told_once import ToldOnce

logger = logging.getLogger("fraisier_core.worker.observing")

PROBLEM_LENGTH = 1000
SAVE_SECONDS = 1.0
Call = Callable[[], object]


class Duty(Protocol):
    """One thing that an observer is called for."""

    def next_call(self) -> Call | None:
        """Return what to call now, None if nothing is due."""

    def ended(self, outcome: Outcome) -> None:
        """Take in how the last call ended."""


@dataclass(slots=True)
class Told:
    """An observer, its section and what it can be given, and how its problems are told and kept."""

    observer: Observer
    settings: ObserverSettings
    facts: ObserverFacts
    redactor: Redactor
    retry_seconds: Sequence[float]
    refused: str = ""
    _observed: Observed | None = None
    _unsaved_since: float | None = None

    @property
    def name(self) -> str:
        """The name of the observer, and of its section below `git:`."""
        return self.facts.name

    def observed(self) -> Observed:
        """Return how far it has seen the events. Raises `StoreError`."""
        if self._observed is None:
            self._observed = self.facts.store.observed(self.name)
        return self._observed

    def note(self, observed: Observed, problem: str | None = None) -> None:
        """Note how far it has seen the events, and record a new problem beside the last one."""
        if problem is not None:
            observed = observed._replace(problem=problem, problem_at=utc_now())
        self._observed = observed
        if self._unsaved_since is None:
            self._unsaved_since = time.monotonic()
        self.save(at_once=problem is not None)

    def save(self, *, at_once: bool = False) -> None:
        """Record how far it has seen the events, soon after that changed: deployments write beside it."""
        since = self._unsaved_since
        if since is not None and (at_once or time.monotonic() - since >= SAVE_SECONDS):
            self.facts.store.observe(self.name, self.observed())
            self._unsaved_since = None

    def pause(self, attempts: int, outcome: Outcome) -> float | None:
        """Return the seconds until something is told again after some failures, None if it is passed over."""
        pauses = () if outcome.is_final else self.retry_seconds[attempts:]
        return outcome.pause if pauses and outcome.pause is not None else next(iter(pauses), None)

    def said(self, outcome: Outcome) -> str:
        """Return a problem without secrets, as long as it is kept."""
        return self.redactor.redact(outcome.problem)[:PROBLEM_LENGTH]

    def show(self, printed: Excerpt) -> None:
        """Put what the observer printed into the log, without secrets."""
        text = printable(printed.text)
        cut_off = [self.redactor.cut_off_end(text)] if printed.left_out else []
        text = mask(text, merged([*self.redactor.spans(text), *cut_off])).rstrip("\n")
        left_out = f"({printed.left_out} bytes more were left out)" if printed.left_out else ""
        sys.stderr.write("".join(f"{each}\n" for each in (text, left_out) if each))

    def log(self, what: str, outcome: Outcome, pause: float | None) -> str:
        """Log a problem, and what follows, and return it as it is kept, without secrets. What is of no use to
        repeat is logged once, then only for who looks for more.
        """
        said = self.said(outcome)
        problem = f"{what}: {said}" if what else said
        if pause is None:
            is_known = outcome.is_final and said == self.refused
            self.refused = said if outcome.is_final else self.refused
            level = logging.DEBUG if is_known else logging.ERROR
            logger.log(level, "observer %s: %s; passed over", self.name, problem)
        else:
            logger.warning("observer %s: %s; told again in %g s", self.name, problem, pause)
        return problem


@dataclass(slots=True)
class Changes:
    """The changes of deployments, in order: one that fails keeps those after it waiting. When there is none,
    the last one of what waits is told again if a hold began or ended since.
    """

    told: Told
    wants_delivery: Callable[[], None]
    event: DeploymentEvent = field(init=False)
    _hold: Hold | None = None
    _holds: dict[str, Hold] = field(default_factory=dict)
    _outdated: set[str] = field(default_factory=set)
    _begun: int = 0
    _retry_at: float = 0.0

    def __post_init__(self) -> None:
        with suppress(OSError, ValueError):
            begun = int(self.told.facts.marker.read_text())
            if self.told.facts.store.events(begun - 1, limit=1):  # else it is of a record that is gone
                self._begun = begun

    def next_call(self) -> Call | None:
        """Return the telling of the next event, and leave a mark: who finds it tells of that event again."""
        if time.monotonic() < self._retry_at:
            return None
        observed, store = self.told.observed(), self.told.facts.store
        for event in store.events(observed.sequence, limit=1):
            call = self._call(event, repeated=observed.attempts > 0 or event.sequence <= self._begun)
            self.told.facts.marker.write_text(str(event.sequence))
            return call
        while self._outdated:
            waiting = store.deployment(next(iter(self._outdated)))
            if waiting.status == "pending":
                return self._call(store.events(deployment_id=waiting.id)[-1], repeated=True)
            self._told(waiting.id, None)
        return None

    def note_holds(self, holds: Mapping[str, Hold]) -> None:
        """Tell again of the deployments that wait for other holds than it was told."""
        ids = holds.keys() | self._holds.keys()
        self._outdated = {each for each in ids if holds.get(each) != self._holds.get(each)}

    def ended(self, outcome: Outcome) -> None:
        """Record that the event was told, or that it failed and is told again, or passed over."""
        event, observed, store = self.event, self.told.observed(), self.told.facts.store
        told = observed._replace(sequence=max(observed.sequence, event.sequence), attempts=0)
        if not outcome.problem:
            self._told(event.deployment_id, self._hold)
            self.told.note(told)
            if observed.attempts:
                store.forget_untold(event, self.told.name)
            if outcome.answer:
                self.wants_delivery()
            return
        what = f"{event.event} (event {event.sequence}) of deployment {event.deployment_id}"
        pause = self.told.pause(observed.attempts, outcome)
        problem = self.told.log(what, outcome, pause)
        store.record_untold(event, Untold(self.told.name, event.event, utc_now(), self.told.said(outcome)))
        if pause is None:
            self._told(event.deployment_id, self._hold)
            self.told.note(told, problem)
        else:
            self._retry_at = time.monotonic() + pause
            self.told.note(observed._replace(attempts=observed.attempts + 1), problem)

    def _call(self, event: DeploymentEvent, *, repeated: bool) -> Call:
        deployment = self.told.facts.store.deployment(event.deployment_id)
        context = self.told.facts.context(deployment, event, repeated=repeated)
        self.event, self._hold = event, context.hold
        tell = self.told.observer.deployment_changed
        return partial(tell, deployment, event, self.told.settings, context)

    def _told(self, deployment_id: str, hold: Hold | None) -> None:
        """Remember which hold it was told that a deployment waits for."""
        self._outdated.discard(deployment_id)
        self._holds.pop(deployment_id, None)
        if hold is not None:
            self._holds[deployment_id] = hold


@dataclass(slots=True)
class OverdueJobs:
    """The jobs that did not run in time: each is told of once, until one of its runs is requested."""

    told: Told
    wants_delivery: Callable[[], None]
    missed: Sequence[Missed] = ()
    _once: ToldOnce = field(init=False)
    _current: Missed = field(init=False)
    _attempts: int = 0
    _retry_at: float = 0.0

    def __post_init__(self) -> None:
        self._once = ToldOnce(self.told.facts.marker.with_suffix(".overdue"))

    def next_call(self) -> Call | None:
        """Return the telling of the next job that is overdue."""
        if time.monotonic() < self._retry_at:
            return None
        for missed in self.missed:
            if not self._once.is_told(missed):
                repeated = self._once.begin(missed) or self._attempts > 0
                self._current = missed
                context = self.told.facts.of_environment(missed.fraise_id, missed.environment, repeated)
                return partial(self.told.observer.overdue, missed, self.told.settings, context)
        return None

    def ended(self, outcome: Outcome) -> None:
        """Remember that it was told, or tell again or pass it over as a change of a deployment."""
        missed, pause = self._current, None
        if outcome.problem:
            what = f"overdue {missed.kind} of {missed.fraise_id} {missed.environment}"
            pause = self.told.pause(self._attempts, outcome)
            self.told.note(self.told.observed(), self.told.log(what, outcome, pause))
        elif outcome.answer:
            self.wants_delivery()
        self._attempts = 0 if pause is None else self._attempts + 1
        self._retry_at = time.monotonic() + (pause or 0)
        if pause is None:
            self._once.end(missed)


@dataclass(slots=True)
class Deliveries:
    """What the observer keeps in its folder and sends: due when it begins, when it asked for it, and at the
    time that it said last.
    """

    told: Told
    _due: float = 0.0
    _failures: int = 0

    def wanted(self) -> None:
        """Have it deliver as soon as it is free."""
        self._due = 0.0

    def next_call(self) -> Call | None:
        """Return the delivery, if its time has come."""
        if time.monotonic() < self._due:
            return None
        self._due = float("inf")
        return partial(self.told.observer.deliver, self.told.settings, self.told.facts.of_all())

    def ended(self, outcome: Outcome) -> None:
        """Note when to deliver next; a problem is never passed over."""
        if not outcome.problem:
            self._failures = 0
            self._postpone(outcome.answer)
            return
        pause = self.told.pause(min(self._failures, len(self.told.retry_seconds) - 1), outcome)
        self._failures += 1
        self.told.note(self.told.observed(), self.told.log("", outcome, pause))
        self._postpone(pause)

    def _postpone(self, seconds: object) -> None:
        if isinstance(seconds, int | float):
            self._due = min(self._due, time.monotonic() + max(0.0, seconds))

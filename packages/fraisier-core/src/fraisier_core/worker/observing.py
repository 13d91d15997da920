"""The process `observers`: tells the active observers of every event, in order and at least once.

It runs apart from the worker, which starts it again if it ends. The store knows how far each observer has
seen the events, so that it misses none. Only one such process works on a host at a time.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fraisier_core.config import Config
from fraisier_core.config.source import ConfigSource
from fraisier_core.errors import FraisierError
from fraisier_core.plugins import Observer, Plugins
from fraisier_core.settings import ObserverSettings
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import DeploymentEvent, Observed
from fraisier_core.system.disk import make_folder
from fraisier_core.system.host import Host
from fraisier_core.system.locks import try_lock
from fraisier_core.system.processes import forbid_dumps
from fraisier_core.system.timing import POLL
from fraisier_core.text.redaction import Redactor
from fraisier_core.text.suggestions import listing
from fraisier_core.worker.observer_facts import ObserverFacts
from fraisier_core.worker.telling import Outcome, Telling

logger = logging.getLogger("fraisier_core.worker.observing")

RETRY_SECONDS = (1.0, 5.0, 25.0, 125.0, 625.0)
PROBLEM_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Observing:
    """Tells all active observers, each at its own pace, until `owner`, a descriptor of the worker, ends."""

    source: ConfigSource
    plugins: Plugins
    owner: int
    retry_seconds: Sequence[float] = RETRY_SECONDS

    def run(self) -> None:
        """Work until the owner is gone or the configuration has changed. Raises `StoreError`."""
        config = self.source.current()
        for name, problem in config.observers.missing.items():
            logger.error("observer %s is told nothing: %s", name, problem)
        lock = self._lock(config.state_dir)
        if lock is None:
            return
        audience = self._audience(config, lock)
        try:
            self._tell(audience, config)
        finally:
            for each in audience:
                each.close()

    def _tell(self, audience: Sequence[Listener], config: Config) -> None:
        while True:
            is_current = self.source.current() is config
            for each in audience:
                each.turn(go_on=is_current)
            tellings = [each.telling for each in audience if each.telling]
            if not (is_current or tellings) or self._is_over(tellings):
                return

    def _lock(self, folder: Path) -> int | None:
        """Wait until no other such process works; return None if the owner is gone before."""
        make_folder(folder, 0o751)
        while (lock := try_lock(folder / "observers.lock")) is None:
            if self._is_over([]):
                return None
        return lock

    def _is_over(self, tellings: Sequence[Telling]) -> bool:
        """Wait for a report or for a moment, and return whether the owner is gone."""
        sources: list[int | Telling] = [self.owner, *tellings]
        return self.owner in select.select(sources, [], [], POLL)[0]

    def _audience(self, config: Config, lock: int) -> list[Listener]:
        store = self.plugins.store(config.database).open(config.database, Host())
        redactor = Redactor(config.observers.secrets)
        for name in config.observers.active:
            store.observe(name, store.observed(name))  # one that is new begins here
        logger.info("observers that are told of events: %s", listing(config.observers.active))
        return [
            Listener(
                *(self.plugins.observer(name), settings, ObserverFacts(name, config, store)),
                *(lock, redactor, self.retry_seconds),
            )
            for name, settings in config.observers.active.items()
        ]


@dataclass(slots=True)
class Listener:
    """One observer, its section, what it can be given, and what it is being told."""

    observer: Observer
    settings: ObserverSettings
    facts: ObserverFacts
    lock: int
    redactor: Redactor
    retry_seconds: Sequence[float]
    telling: Telling | None = None
    event: DeploymentEvent = field(init=False)
    _retry_at: float = 0.0
    _refused: str = ""
    _begun: str = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self._marked()

    @property
    def store(self) -> Store:
        """The record."""
        return self.facts.store

    def turn(self, *, go_on: bool) -> None:
        """Take in what happened, and begin to tell what is next unless not to go on."""
        name = self.observer.name
        if self.telling is not None and (outcome := self.telling.outcome()) is not None:
            self.telling = None
            self.store.observe(name, self._told(self.store.observed(name), outcome))
        if not (go_on and self.telling is None and time.monotonic() >= self._retry_at):
            return
        observed = self.store.observed(name)
        if events := self.store.events(observed.sequence, limit=1):
            self._begin(events[0], observed)

    def _begin(self, event: DeploymentEvent, observed: Observed) -> None:
        """Begin to tell of an event, and leave a mark: who finds it tells of that event for a second time."""
        self.event = event
        deployment = self.store.deployment(event.deployment_id)
        repeated = observed.attempts > 0 or self._begun == str(event.sequence)
        context = self.facts.context(deployment, event, repeated=repeated)
        self.facts.marker.write_text(str(event.sequence))
        tell = partial(self.observer.deployment_changed, deployment, event, self.settings, context)
        self.telling = Telling(tell, self.settings.timeout, self.lock)

    def _marked(self) -> str:
        with suppress(OSError):
            return self.facts.marker.read_text()
        return ""

    def close(self) -> None:
        """Kill the process that is telling; what it was telling is told again by the next one."""
        if self.telling is not None:
            self.telling.kill()

    def _told(self, observed: Observed, outcome: Outcome) -> Observed:
        """Return how far the observer has seen the events once it was told of one, or that failed."""
        name, event = self.observer.name, self.event
        if not outcome.problem:
            return Observed(event.sequence, 0, observed.problem)
        said = self.redactor.redact(outcome.problem)[:PROBLEM_LENGTH]
        problem = f"{event.event} (event {event.sequence}) of deployment {event.deployment_id}: {said}"
        if outcome.is_final:
            self._say_once(said, problem)
            return Observed(event.sequence, 0, problem)
        if pauses := self.retry_seconds[observed.attempts :]:
            pause = pauses[0] if outcome.pause is None else outcome.pause
            logger.warning("observer %s: %s; told again in %g s", name, problem, pause)
            self._retry_at = time.monotonic() + pause
            return Observed(observed.sequence, observed.attempts + 1, problem)
        logger.error("observer %s: %s; passed over", name, problem)
        return Observed(event.sequence, 0, problem)

    def _say_once(self, said: str, problem: str) -> None:
        """Log what an observer cannot do; only for who looks for more, if it was the same the last time."""
        level = logging.DEBUG if said == self._refused else logging.ERROR
        logger.log(level, "observer %s: %s; passed over", self.observer.name, problem)
        self._refused = said


def main() -> None:
    """Be the process: the argument is the configuration file, and standard input ends with the worker."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    forbid_dumps()
    owner = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    plugins = Plugins.installed()
    try:
        source = ConfigSource(Path(sys.argv[1]), plugins, parts={"observers"}, last_good=True)
        Observing(source, plugins, owner).run()
    except FraisierError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

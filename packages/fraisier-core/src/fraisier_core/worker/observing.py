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
from fraisier_core.system.host import Host
from fraisier_core.system.locks import try_lock
from fraisier_core.system.processes import forbid_dumps
from fraisier_core.system.timing import POLL
from fraisier_core.text.redaction import Redactor
from fraisier_core.text.suggestions import listing
from fraisier_core.worker.telling import Telling

logger = logging.getLogger("fraisier_core.worker.observing")

RETRY_SECONDS = (1.0, 5.0, 25.0, 125.0, 625.0)
PROBLEM_LENGTH = 1000


class Observing:
    """Tells all active observers, each at its own pace.

    Args:
        source: the configuration, with the secrets of observers alone.
        plugins: the installed plugins.
        owner: a descriptor whose end means that the worker is gone.
        retry_seconds: how long to wait after each failure of an event, before it is passed over.
    """

    def __init__(
        self,
        source: ConfigSource,
        plugins: Plugins,
        owner: int,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        self._source = source
        self._plugins = plugins
        self._owner = owner
        self._retry_seconds = retry_seconds

    def run(self) -> None:
        """Work until the owner is gone or the configuration has changed. Raises `StoreError`."""
        config = self._source.current()
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
            is_current = self._source.current() is config
            for each in audience:
                each.turn(go_on=is_current)
            tellings = [each.telling for each in audience if each.telling]
            if not (is_current or tellings) or self._is_over(tellings):
                return

    def _lock(self, folder: Path) -> int | None:
        """Wait until no other such process works; return None if the owner is gone before."""
        folder.mkdir(parents=True, exist_ok=True)
        while (lock := try_lock(folder / "observers.lock")) is None:
            if self._is_over([]):
                return None
        return lock

    def _is_over(self, tellings: Sequence[Telling]) -> bool:
        """Wait for a report or for a moment, and return whether the owner is gone."""
        sources: list[int | Telling] = [self._owner, *tellings]
        return self._owner in select.select(sources, [], [], POLL)[0]

    def _audience(self, config: Config, lock: int) -> list[Listener]:
        store = self._plugins.open_store(config.database, Host())
        redactor = Redactor(config.observers.secrets)
        for name in config.observers.active:
            store.observe(name, store.observed(name))  # one that is new begins here
        logger.info("observers that are told of events: %s", listing(config.observers.active))
        return [
            Listener(self._plugins.observer(name), settings, store, lock, redactor, self._retry_seconds)
            for name, settings in config.observers.active.items()
        ]


@dataclass(slots=True)
class Listener:
    """One observer.

    Args:
        observer: the observer.
        settings: its section.
        store: the events, and how far it has seen them.
        lock: as for `Telling`.
        redactor: redacts secrets in what it raises.
        retry_seconds: as for `Observing`.
    """

    observer: Observer
    settings: ObserverSettings
    store: Store
    lock: int
    redactor: Redactor
    retry_seconds: Sequence[float]
    telling: Telling | None = None
    _event: DeploymentEvent = field(init=False)
    _retry_at: float = 0.0

    def turn(self, *, go_on: bool) -> None:
        """Take in what happened, and begin to tell what is next unless not to go on."""
        if self.telling is not None and (problem := self.telling.outcome()) is not None:
            self.telling = None
            self._note(self._event, problem)
        if self.telling is None and go_on and time.monotonic() >= self._retry_at:
            events = self.store.events(self.store.observed(self.observer.name).sequence, limit=1)
            if events:
                self._begin(events[0])

    def _begin(self, event: DeploymentEvent) -> None:
        deployment = self.store.deployment(event.deployment_id)
        tell = partial(self.observer.deployment_changed, deployment, event, self.settings)
        self.telling, self._event = Telling(tell, self.settings.timeout, self.lock), event

    def close(self) -> None:
        """Kill the process that is telling; what it was telling is told again by the next one."""
        if self.telling is not None:
            self.telling.kill()

    def _note(self, event: DeploymentEvent, problem: str) -> None:
        """Keep that the observer has seen the event, or what went wrong."""
        observed = self.store.observed(self.observer.name)
        if not problem:
            self._keep(event.sequence, 0, observed.problem)
            return
        said = self.redactor.redact(problem)[:PROBLEM_LENGTH]
        problem = f"{event.event} (event {event.sequence}) of deployment {event.deployment_id}: {said}"
        if pauses := self.retry_seconds[observed.attempts :]:
            logger.warning("observer %s: %s; told again in %g s", self.observer.name, problem, pauses[0])
            self._keep(observed.sequence, observed.attempts + 1, problem)
            self._retry_at = time.monotonic() + pauses[0]
        else:
            logger.error("observer %s: %s; passed over", self.observer.name, problem)
            self._keep(event.sequence, 0, problem)

    def _keep(self, sequence: int, attempts: int, problem: str | None) -> None:
        self.store.observe(self.observer.name, Observed(sequence, attempts, problem))


def main() -> None:
    """Be the process: the argument is the configuration file, and standard input ends with the worker."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    forbid_dumps()
    owner = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    plugins = Plugins.installed()
    try:
        Observing(ConfigSource(Path(sys.argv[1]), plugins, parts={"observers"}), plugins, owner).run()
    except FraisierError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

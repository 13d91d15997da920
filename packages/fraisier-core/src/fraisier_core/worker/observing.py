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
from dataclasses import dataclass, replace
from pathlib import Path

from fraisier_core.config import Config, ConfigSource
from fraisier_core.errors import FraisierError
from fraisier_core.plugins import Observer, Plugins
from fraisier_core.settings import ObserverSettings
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Observed
from fraisier_core.system.host import Host
from fraisier_core.system.locks import try_lock
from fraisier_core.system.processes import forbid_dumps
from fraisier_core.system.timing import POLL
from fraisier_core.text.redaction import Redactor
from fraisier_core.text.suggestions import listing
from fraisier_core.worker.telling import Change, Telling

logger = logging.getLogger("fraisier_core.worker.observing")

RETRY_SECONDS = (1.0, 5.0, 25.0, 125.0, 625.0)
EVENTS_AT_ONCE = 100
PROBLEM_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class ObserverContext:
    """What is the same for all observers.

    Args:
        store: the events, and how far each observer has seen them.
        lock: the descriptor that holds the lock of the process.
        redactor: redacts secrets in messages.
        retry_seconds: how long to wait after each failure of an event, before it is passed over.
    """

    store: Store
    lock: int
    redactor: Redactor
    retry_seconds: Sequence[float]


class Observing:
    """Tells all active observers, each at its own pace.

    Args:
        source: the configuration, with the secrets of observers alone.
        plugins: the installed plugins.
        owner: a descriptor whose end means that the worker is gone.
        retry_seconds: as for `ObserverContext`.
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
        context = ObserverContext(store, lock, Redactor(config.observers.secrets), self._retry_seconds)
        active = config.observers.active.items()
        found = [Listener(self._plugins.observer(name), settings, context) for name, settings in active]
        logger.info("observers that are told of events: %s", listing(config.observers.active))
        return found


class Listener:
    """One observer and how far it has seen the events.

    Args:
        observer: the observer.
        settings: its section.
        context: what it shares with the others.
    """

    def __init__(self, observer: Observer, settings: ObserverSettings, context: ObserverContext) -> None:
        self.telling: Telling | None = None
        self._observer = observer
        self._settings = settings
        self._context = context
        self._retry_at = 0.0
        self._keep(context.store.observed(observer.name))

    def turn(self, *, go_on: bool) -> None:
        """Take in what happened, and begin to tell what is new unless not to go on."""
        if self.telling is not None:
            self._hear(self.telling)
        if self.telling is None and go_on and time.monotonic() >= self._retry_at:
            changes = self._changes()
            if changes:
                self.telling = Telling(self._observer, self._settings, changes, self._context.lock)

    def close(self) -> None:
        """Kill the process that is telling; what it was telling is told again by the next one."""
        if self.telling is not None:
            self.telling.kill()

    def _changes(self) -> list[Change]:
        events = self._context.store.events(self._observed.sequence, EVENTS_AT_ONCE)
        ids = {event.deployment_id for event in events}
        deployments = {each: self._context.store.deployment(each) for each in ids}
        return [(deployments[event.deployment_id], event) for event in events]

    def _hear(self, telling: Telling) -> None:
        before, is_over = telling.told, telling.hear()
        if telling.told > before:
            seen = telling.changes[telling.told - 1][1].sequence
            self._keep(replace(self._observed, sequence=seen, attempts=0))
        if is_over:
            self.telling = None
            if telling.told < len(telling.changes):
                self._fail(telling.changes[telling.told], telling.problem)

    def _fail(self, change: Change, problem: str) -> None:
        deployment, event = change
        attempts = self._observed.attempts + 1
        said = self._context.redactor.redact(problem)[:PROBLEM_LENGTH]
        problem = f"{event.event} (event {event.sequence}) of deployment {deployment.id}: {said}"
        if attempts > len(self._context.retry_seconds):
            logger.error("observer %s: %s; passed over", self._observer.name, problem)
            self._keep(Observed(event.sequence, 0, problem))
            return
        seconds = self._context.retry_seconds[attempts - 1]
        logger.warning("observer %s: %s; told again in %g s", self._observer.name, problem, seconds)
        self._keep(replace(self._observed, attempts=attempts, problem=problem))
        self._retry_at = time.monotonic() + seconds

    def _keep(self, observed: Observed) -> None:
        self._observed = observed
        self._context.store.observe(self._observer.name, observed)


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

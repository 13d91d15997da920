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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fraisier_core.config import Config
from fraisier_core.config.sections import long_secrets
from fraisier_core.config.source import ConfigSource
from fraisier_core.errors import FraisierError
from fraisier_core.plugins import Plugins
from fraisier_core.requests.holding import holds_of_waiting
from fraisier_core.store.protocol import Store
from fraisier_core.system.disk import make_folder
from fraisier_core.system.host import Host
from fraisier_core.system.locks import try_lock
from fraisier_core.system.priority import yield_to_others
from fraisier_core.system.processes import forbid_dumps
from fraisier_core.system.timing import POLL
from fraisier_core.text.redaction import Redactor
from fraisier_core.text.suggestions import listing
from fraisier_core.worker.calm import CALM_SECONDS, Calm
from fraisier_core.worker.duties import Told
from fraisier_core.worker.listener import Listener
from fraisier_core.worker.observer_facts import ObserverFacts
from fraisier_core.worker.overdue_jobs import overdue_jobs
from fraisier_core.worker.telling import Telling

logger = logging.getLogger("fraisier_core.worker.observing")

RETRY_SECONDS = (1.0, 5.0, 25.0, 125.0, 625.0)
NICE = 5
"""By how much deployments come first."""
LOOK_SECONDS = 30.0
"""How often to look for what is no event: holds that begin and end, jobs that did not run in time."""


@dataclass(frozen=True, slots=True)
class Observing:
    """Tells all active observers, each at its own pace, until `owner`, a descriptor of the worker, ends."""

    source: ConfigSource
    plugins: Plugins
    owner: int
    retry_seconds: Sequence[float] = RETRY_SECONDS
    look_seconds: float = LOOK_SECONDS

    def run(self) -> None:
        """Work until the owner is gone or the configuration has changed. Raises `StoreError`."""
        config = self.source.current()
        for name, problem in config.observers.missing.items():
            logger.error("observer %s is told nothing: %s", name, problem)
        lock = self._lock(config.state_dir)
        if lock is None:
            return
        store = self.plugins.store(config.database).open(config.database, Host())
        audience = self._audience(config, store, lock)
        try:
            self._tell(audience, config, store)
        finally:
            for each in audience:
                each.close()

    def _tell(self, audience: Sequence[Listener], config: Config, store: Store) -> None:
        begun, looked_at = datetime.now(UTC), float("-inf")
        calm = Calm(store.position())
        while True:
            is_current = self.source.current() is config
            is_calm = calm.lasts(store.position())
            if time.monotonic() - looked_at >= self.look_seconds:
                looked_at = time.monotonic()
                _look(audience, config, store, begun)
            for each in audience:
                each.turn(go_on=is_current and is_calm)
            tellings = [each.telling for each in audience if each.telling]
            seconds = POLL if is_calm else CALM_SECONDS
            if not (is_current or tellings) or self._is_over(tellings, seconds):
                return

    def _lock(self, folder: Path) -> int | None:
        """Wait until no other such process works; return None if the owner is gone before."""
        make_folder(folder, 0o751)
        while (lock := try_lock(folder / "observers.lock")) is None:
            if self._is_over([], POLL):
                return None
        return lock

    def _is_over(self, tellings: Sequence[Telling], seconds: float) -> bool:
        """Wait for a report or for a moment, and return whether the owner is gone."""
        sources = [self.owner, *(source for each in tellings for source in each.sources)]
        return self.owner in select.select(sources, [], [], seconds)[0]

    def _audience(self, config: Config, store: Store, lock: int) -> list[Listener]:
        secrets = [each.secrets | long_secrets(each.outcome) for each in config.environments]
        redactor = Redactor(config.observers.secrets.union(*secrets))
        audience = [
            Listener(
                Told(
                    self.plugins.observer(name),
                    settings,
                    ObserverFacts(name, section, config, store),
                    redactor,
                    self.retry_seconds,
                ),
                lock,
            )
            for name, settings in config.observers.active.items()
            for section in config.observers.forges.get(name) or (None,)
        ]
        names = [each.told.name for each in audience]
        for name in names:
            store.observe(name, store.observed(name))  # one that is new begins here
        logger.info("observers that are told of events: %s", listing(names))
        return audience


def _look(audience: Sequence[Listener], config: Config, store: Store, begun: datetime) -> None:
    """Look for what is no event, for those who hear of it."""
    holds = holds_of_waiting(store)
    hear_of_overdue = [each for each in audience if each.hears_of_overdue]
    missed = overdue_jobs(config, store, begun, datetime.now(UTC)) if hear_of_overdue else ()
    for each in audience:
        each.note_holds(holds)
        each.note_overdue(missed)


def main() -> None:
    """Be the process: the argument is the configuration file, and standard input ends with the worker."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    yield_to_others(NICE)
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

"""The process `observers`: tells the active observers of every event, in order and at least once.

It runs apart from the worker, which starts it again if it ends. The store knows how far each observer has
seen the events, so that it misses none. Only one such process works on a host at a time.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

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
from fraisier_core.system.processes import die_with_parent, forbid_dumps
from fraisier_core.system.timing import POLL
from fraisier_core.text.redaction import Redactor
from fraisier_core.text.suggestions import listing
from fraisier_core.worker.assignment import receive, send

logger = logging.getLogger("fraisier_core.worker.observing")

RETRY_SECONDS = (1.0, 5.0, 25.0, 125.0, 625.0)
PROBLEM_LENGTH = 1000
_REPORT_CHARACTERS = 8_000


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
            Listener(self.plugins.observer(name), settings, store, lock, redactor, self.retry_seconds)
            for name, settings in config.observers.active.items()
        ]


@dataclass(slots=True)
class Listener:
    """One observer, its section, and what it is being told."""

    observer: Observer
    settings: ObserverSettings
    store: Store
    lock: int
    redactor: Redactor
    retry_seconds: Sequence[float]
    telling: Telling | None = None
    event: DeploymentEvent = field(init=False)
    _retry_at: float = 0.0

    def turn(self, *, go_on: bool) -> None:
        """Take in what happened, and begin to tell what is next unless not to go on."""
        name = self.observer.name
        if self.telling is not None and (problem := self.telling.outcome()) is not None:
            self.telling = None
            self.store.observe(name, self._told(self.store.observed(name), problem))
        is_free = self.telling is None and time.monotonic() >= self._retry_at
        if go_on and is_free and (events := self.store.events(self.store.observed(name).sequence, limit=1)):
            self.event = events[0]
            deployment = self.store.deployment(self.event.deployment_id)
            tell = partial(self.observer.deployment_changed, deployment, self.event, self.settings)
            self.telling = Telling(tell, self.settings.timeout, self.lock)

    def close(self) -> None:
        """Kill the process that is telling; what it was telling is told again by the next one."""
        if self.telling is not None:
            self.telling.kill()

    def _told(self, observed: Observed, problem: str) -> Observed:
        """Return how far the observer has seen the events once it was told of one, or that failed."""
        name, event = self.observer.name, self.event
        if not problem:
            return Observed(event.sequence, 0, observed.problem)
        said = self.redactor.redact(problem)[:PROBLEM_LENGTH]
        problem = f"{event.event} (event {event.sequence}) of deployment {event.deployment_id}: {said}"
        if pauses := self.retry_seconds[observed.attempts :]:
            logger.warning("observer %s: %s; told again in %g s", name, problem, pauses[0])
            self._retry_at = time.monotonic() + pauses[0]
            return Observed(observed.sequence, observed.attempts + 1, problem)
        logger.error("observer %s: %s; passed over", name, problem)
        return Observed(event.sequence, 0, problem)


class Telling:
    """The process, as the one that started it sees it; it goes on holding the lock of all observers."""

    def __init__(self, tell: Callable[[], None], seconds: float, lock: int) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._report, theirs = Pipe(duplex=False)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _tell(tell, parent, theirs, lock)
        theirs.close()

    def fileno(self) -> int:
        """Return a file descriptor that is readable when this is over."""
        return self._report.fileno()

    def outcome(self) -> str | None:
        """Return None until this is over, then what went wrong, if anything; the process is gone then."""
        is_over = self._report.poll()
        if not is_over and time.monotonic() < self._until:
            return None
        report: str | None = receive(self._report) if is_over else None
        status = self.kill()
        if report is not None:
            return report
        return (
            f"its process ended with status {status}" if is_over else f"no answer within {self._seconds:g} s"
        )

    def kill(self) -> int:
        """Kill what is left of the process and its group, and return its exit status."""
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.kill(self._pid, signal.SIGKILL)
        self._report.close()
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _tell(tell: Callable[[], None], parent: int, report: Connection, lock: int) -> NoReturn:
    try:
        die_with_parent(parent)
        os.setsid()  # what the observer starts is ended with it
        _close_all_but(report.fileno(), lock)
        tell()
        sys.stdout.flush()
        send(report, "")
    except BaseException as error:  # noqa: BLE001 - an observer may raise anything
        problem = " ".join(f"{type(error).__name__}: {error}".split()).encode(errors="replace").decode()
        send(report, problem[:_REPORT_CHARACTERS])
    finally:
        os._exit(0)


def _close_all_but(*keep: int) -> None:
    """Close every descriptor but the standard ones and some: those of the store are among them."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - numbers, not files
        if descriptor > 2 and descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)


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

"""Claims deployments, and recovers those whose process is gone: for a worker, and for `fraisier deploy`."""

from __future__ import annotations

import logging
import selectors
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection

from fraisier_core.config import Config
from fraisier_core.config.source import ConfigSource
from fraisier_core.engine.leftovers import take_over
from fraisier_core.errors import FraisierError, UnknownOutcomeError
from fraisier_core.requests.freezing import Timetable, freeze
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Claimed, HeldLease, Lease
from fraisier_core.system.backoff import Backoff
from fraisier_core.system.failpoints import failpoint
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity, kill_group
from fraisier_core.system.timing import POLL
from fraisier_core.worker.assignment import Assignment, receive, send
from fraisier_core.worker.jobs import DEPLOYMENT
from fraisier_core.worker.launcher import Launcher
from fraisier_core.worker.log_lines import ended, started

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Slot:
    """A place for one deployment: first a warm process, then one that executes."""

    line: Connection
    process: ProcessIdentity | None = None
    lease: Lease | None = None

    @property
    def is_ready(self) -> bool:
        """Whether its process waits for an assignment."""
        return self.process is not None and self.lease is None


class Dispatcher:
    """Gives deployments to processes, under the current configuration, and watches those."""

    def __init__(
        self,
        store: Store,
        host: Host,
        source: ConfigSource,
        new_launcher: Callable[[], Launcher],
        launcher: Launcher | None = None,
    ) -> None:
        self._store = store
        self._host = host
        self._source = source
        self._new_launcher = new_launcher
        self._selector = selectors.DefaultSelector()
        self._backoff = Backoff()
        self._config: Config | None = None
        self._timetable: Timetable | None = None
        self.slots: list[Slot] = []
        self.launched = 0
        self._launcher = launcher
        if launcher is not None:
            self.watch(launcher, self._launcher_ended)

    def watch(self, source: object, handler: Callable[[], object]) -> None:
        """Call `handler` from `wait` whenever something becomes readable."""
        self._selector.register(source, selectors.EVENT_READ, handler)  # type: ignore[arg-type]

    def unwatch(self, source: object) -> None:
        """Undo `watch`."""
        self._selector.unregister(source)  # type: ignore[arg-type]

    def wait(self, seconds: float) -> bool:
        """Handle what happens next, and return whether anything did within `seconds`."""
        events = self._selector.select(seconds)
        for key, _ in events:
            key.data()
        return bool(events)

    def close(self) -> None:
        """Hang up on every process; what executes is interrupted."""
        for slot in self.slots:
            slot.line.close()
        if self._launcher is not None:
            self._launcher.end()
        self._selector.close()

    def fill(self, count: int) -> None:
        """Fill `count` slots, and start a launcher if it is gone."""
        self._revive()
        while len(self.slots) < count and (line := self.launch(DEPLOYMENT)):
            self.adopt(line)

    def adopt(self, line: Connection) -> None:
        """Fill another slot with the process at the end of a line."""
        self.launched += 1
        slot = Slot(line)
        self.slots.append(slot)
        self.watch(line, lambda: self._hear(slot))

    def launch(self, job: str) -> Connection | None:
        """Fork a process for a job and return the line to it; None if that has to wait."""
        if self._launcher is None or not self._backoff.is_due:
            return None
        try:
            return self._launcher.launch(job)
        except OSError:
            self._launcher_ended()
            return None

    @property
    def busy(self) -> int:
        """How many slots execute a deployment."""
        return sum(slot.lease is not None for slot in self.slots)

    def start(self, job: str, message: object, ended: Callable[[object], None]) -> Connection | None:
        """Have a job done once, if a process can be had now; `ended` is called with its answer or None."""
        line = self.launch(job)
        if line is None:
            return None

        def hear() -> None:
            answer = receive(line)
            self.stop(line)
            ended(answer)

        send(line, message)
        self.watch(line, hear)
        return line

    def stop(self, line: Connection) -> None:
        """Hang up on a process, which ends it."""
        self.unwatch(line)
        line.close()

    def interrupt(self, reason: str) -> None:
        """Have every deployment interrupted that is executed, and end the processes that execute none."""
        for slot in list(self.slots):
            if slot.lease is None:
                self._give_up(slot)
            else:
                send(slot.line, reason)

    def abandon(self) -> None:
        """Go on without the processes of the slots, whatever they do."""
        for slot in list(self.slots):
            self._give_up(slot)

    def ready_slot(self) -> Slot | None:
        """Return a slot whose process waits for an assignment, if there is one."""
        return next((slot for slot in self.slots if slot.is_ready), None)

    def _revive(self) -> None:
        if self._launcher is None and self._backoff.is_due:
            try:
                self._launcher = self._new_launcher()
            except OSError as error:
                logger.error("no launcher can be started (%s); again in %g s", error, self._backoff.pause())
                return
            self._backoff.started()
            self.watch(self._launcher, self._launcher_ended)

    def _launcher_ended(self) -> None:
        assert self._launcher is not None  # noqa: S101 - it is watched
        self.unwatch(self._launcher)
        self._launcher.close()
        ending, pause = _ending(self._launcher.wait()), self._backoff.pause()
        logger.error("the launcher %s; it is started again in %g s", ending, pause)
        self._launcher = None

    def _hear(self, slot: Slot) -> None:
        """A process is ready, or has ended: its lease, if it still holds it, is then expired."""
        if slot.process is None and (process := receive(slot.line)):
            slot.process = process
            return
        if slot.process is None:  # it could not even start: do not spin
            self._backoff.postpone(POLL)
        self._give_up(slot)
        if slot.lease is not None:
            self._log_end(slot.lease)

    def _log_end(self, lease: Lease) -> None:
        try:
            logger.info("%s", ended(self._store.deployment(lease.deployment_id)))
        except FraisierError as error:
            logger.error("how deployment %s ended is not known: %s", lease.deployment_id, error)

    def configure(self) -> None:
        """Take the current configuration, and tell the store what is configured and frozen; before each
        claim.
        """
        config = self._source.current()
        if config is not self._config or self._timetable is None:
            self._timetable = configure_store(self._store, config, executes=True)
            self._config = config
        elif not self._timetable.holds_at(now := datetime.now(UTC)):
            self._timetable = freeze(self._store, config, now, decides=True)
        elif not self._timetable.is_recent(now):
            self._timetable = self._timetable.again(self._store, now)

    def expired(self, fraise: str | None = None, environment: str | None = None) -> Iterator[HeldLease]:
        """Yield the expired leases, of all deployments or of those of one environment."""
        for held in self._store.expired():
            found = self._store.deployment(held.lease.deployment_id) if fraise else None
            if found is None or (found.fraise_id, found.environment) == (fraise, environment):
                yield held

    def recover(self, slot: Slot, held: HeldLease) -> bool:
        """Have a slot recover a deployment, and return whether nothing else did so first."""
        self.configure()
        with self._given_up_on(UnknownOutcomeError, slot):
            lease = take_over(self._store, self._host, held, _process(slot))
        if lease is None:
            return False
        with self._given_up_on(FraisierError, slot):
            deployment = self._store.deployment(lease.deployment_id)
        return self.assign(slot, Claimed(lease, deployment), recover=True)

    def claim(self, slot: Slot, deployment_id: str | None = None) -> bool:
        """Have a slot execute a deployment, by default the next; return whether one could be claimed."""
        self.configure()
        with self._given_up_on(UnknownOutcomeError, slot):
            claimed = self._store.claim(_process(slot), deployment_id)
        return claimed is not None and self.assign(slot, claimed)

    @contextmanager
    def _given_up_on(self, problem: type[FraisierError], slot: Slot) -> Iterator[None]:
        """Give up the process of a slot if what may have leased it fails: the lease expires with it."""
        try:
            yield
        except problem:
            self._give_up(slot)
            raise

    def _give_up(self, slot: Slot) -> None:
        self.stop(slot.line)
        self.slots.remove(slot)

    def assign(self, slot: Slot, claimed: Claimed, *, recover: bool = False) -> bool:
        """Give a slot what was claimed for it; always true."""
        assert self._config is not None  # noqa: S101 - `configure` comes before
        failpoint("after_claim")
        slot.lease = claimed.lease
        send(slot.line, Assignment.under(self._config, claimed.deployment, claimed.lease, recover=recover))
        logger.info("%s", started(claimed.deployment, recover=recover))
        return True

    def end_overdue(self) -> None:
        """End a process that is alive but whose lease expired, if no other slot is free to recover it."""
        if self.busy < len(self.slots):
            return
        held = {each.lease: each for each in self._store.expired()}
        for slot in self.slots:
            if slot.lease is not None and (expired := held.get(slot.lease)):
                deployment = slot.lease.deployment_id
                logger.warning("the lease of deployment %s expired while its process was alive", deployment)
                kill_group(expired.holder)


def _process(slot: Slot) -> ProcessIdentity:
    assert slot.process is not None  # noqa: S101 - only ready slots are assigned to
    return slot.process


def _ending(status: int) -> str:
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

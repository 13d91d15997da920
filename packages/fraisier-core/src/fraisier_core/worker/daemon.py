"""The worker: the loop of a daemon around a dispatcher."""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from fraisier_core.config.source import ConfigSource
from fraisier_core.errors import FraisierError, StoreError, UnknownOutcomeError, UnreachableStoreError
from fraisier_core.plugins import Plugins
from fraisier_core.store.protocol import Store
from fraisier_core.system.backoff import Backoff
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity, forbid_dumps
from fraisier_core.system.timing import DELETION, GRACE, HEARTBEAT, POLL, STOP
from fraisier_core.worker.dispatcher import Dispatcher, Slot
from fraisier_core.worker.forgetting import Forgetting
from fraisier_core.worker.jobs import DELETE, start_launcher, warmth_of
from fraisier_core.worker.observers import ObserversProcess
from fraisier_core.worker.outage import Outage
from fraisier_core.worker.reconciler import Pace, Reconciler
from fraisier_core.worker.unit_starter import UnitStarter

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Worker:
    """Has deployments executed, as many at once as it has slots, until it is told to stop. The configuration
    comes without the secrets of webhooks. After SIGTERM, deployments may finish within the grace, then end as
    interrupted within `stop_seconds`; the end of `supervisor`, a socket or pipe, acts like SIGTERM. `pace`
    says how often repositories are asked for pushes that were missed.
    """

    source: ConfigSource
    plugins: Plugins
    slots: int = 2
    grace_seconds: float = GRACE
    supervisor: int | None = None
    pace: Pace = field(default_factory=Pace)
    stop_seconds: float = STOP
    _stopping_since: float | None = None
    _beat: float = -math.inf
    _looked: float = -math.inf
    _stirred: bool = True
    _is_woken: bool = False
    _spare: int = 0
    _outage: Outage = field(default_factory=Outage)

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then finish what runs within the grace. Returns when all is done."""
        forbid_dumps()
        if not self._open():
            return
        self._listen()
        while self._stopping_since is None or self._dispatcher.busy:
            self._turn()
        self._close()

    def _open(self) -> bool:
        """Get ready, and return whether the supervisor was there until then."""
        config, host = self.source.current(), Host()
        start = partial(start_launcher, warmth_of(config, host), self.source)
        launcher = start()  # it gets ready while the store is opened
        store = self._opened(config.database, host)
        if store is None:
            return False
        self._store = store
        self._dispatcher = Dispatcher(self._store, host, self.source, start, launcher)
        self._forgetting = Forgetting(self._store)
        self._wake_ups = self._store.wake_ups()
        self._deletion = Deletion(self._dispatcher, config.state_dir)
        self._reconciler = Reconciler(self._dispatcher, self._store, self.source, self.pace)
        self._me = ProcessIdentity.of(os.getpid())
        self._unit_starter = UnitStarter(self._dispatcher, self._store, self.source, self._me)
        self._observers = ObserversProcess(config.path, self.plugins)
        return True

    def _opened(self, database: str, host: Host) -> Store | None:
        """Return the store once its database can be reached; None if the supervisor is gone before."""
        owner = [] if self.supervisor is None else [self.supervisor]
        while True:
            try:
                store = self.plugins.store(database).open(database, host)
            except (UnreachableStoreError, UnknownOutcomeError) as error:
                self._outage.note(error)
            else:
                self._outage.end()
                return store
            if select.select(owner, [], [], POLL)[0]:
                return None

    def _listen(self) -> None:
        self._signals, self._wakeup = socket.socketpair()
        for end in (self._signals, self._wakeup):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._dispatcher.watch(self._signals, lambda: self._signals.recv(64))
        self._dispatcher.watch(self._wake_ups, self._woken)
        if self.supervisor is not None:
            self._dispatcher.watch(self.supervisor, self._supervisor_gone)

    def _woken(self) -> None:
        self._wake_ups.clear()
        self._is_woken = True
        self._deletion.note()

    def _supervisor_gone(self) -> None:
        self._dispatcher.unwatch(self.supervisor)
        self._stop()

    def _stop(self, number: int = 0, frame: FrameType | None = None) -> None:  # noqa: ARG002 - a signal handler
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            threading.Thread(target=self._abort, daemon=True).start()

    def _abort(self) -> None:
        """Wait no more for a database that says nothing, once this worker should have ended."""
        time.sleep(self.grace_seconds + self.stop_seconds)
        while True:
            time.sleep(2 * POLL)
            self._store.abort()

    # One turn of the loop

    def _turn(self) -> None:
        if self._stirred or time.monotonic() - self._looked >= self._wake_ups.poll_seconds:
            self._look()
        if not self._outage.lasts:  # or what needs the store would fail again and again
            self._attend()
        if self._stopping_since and time.monotonic() - self._stopping_since > self.grace_seconds:
            self._interrupt()
        self._deletion.turn(is_quiet=False)  # not beside what was just assigned
        busy = self._dispatcher.busy
        self._stirred = self._dispatcher.wait(POLL)
        is_quiet = not (self._stirred or busy)
        if self._dispatcher.busy < busy:
            self._deletion.note()
        elif is_quiet:
            self._deletion.turn(is_quiet=True)

    def _look(self) -> None:
        """Assign what waits, and say that this worker lives, for which nothing has to wait."""
        self._looked = time.monotonic()
        try:
            if self._stopping_since is None:
                self._dispatch()
                self._unit_starter.turn()
            self._report()
        except FraisierError as error:  # such as a full disk: what runs goes on
            self._outage.note(error)
        else:
            self._outage.end()

    def _report(self) -> None:
        """Record a heartbeat, and see to the checkpoints if no other process does."""
        if time.monotonic() - self._beat >= HEARTBEAT:
            self._store.heartbeat(self._me)
            self._store.maintain()
            self._beat = time.monotonic()
            self._forget()

    def _forget(self) -> None:
        """Delete what need not be kept; deployments do not depend on it."""
        try:
            self._forgetting.turn(self.source.current().retention)
        except StoreError as error:
            logger.error("what need not be kept is not deleted: %s", error)

    def _dispatch(self) -> None:
        """Assign what waits to the slots that are ready, the most urgent first."""
        self._dispatcher.configure()
        self._dispatcher.end_overdue()
        while (slot := self._dispatcher.ready_slot()) and (self._back_up(slot) or self._assign(slot)):
            pass
        self._spare = 0 if self._dispatcher.ready_slot() else len(self._store.awaited_backups())

    def _back_up(self, slot: Slot) -> bool:
        """Assign a backup that a deployment waits for, if all slots were taken when it was requested."""
        awaited = self._store.awaited_backups() if self._spare else []
        return any(self._dispatcher.claim(slot, each.id) for each in awaited)

    def _assign(self, slot: Slot) -> bool:
        """Assign something to a slot, and return whether there was anything: first what a wake-up told of,
        then what a process left that is gone. A slot that becomes free is no wake-up: neither waits for long.
        """
        if self._dispatcher.busy >= self.slots:  # this one is for a backup
            return False
        is_woken, self._is_woken = self._is_woken, False
        if is_woken and self._dispatcher.claim(slot):
            return True
        expired = self._dispatcher.expired()
        if any(self._dispatcher.recover(slot, held) for held in expired) or self._dispatcher.claim(slot):
            return True
        return any(self._dispatcher.claim(slot, each) for each in self._unit_starter.left_to_worker)

    def _attend(self) -> None:
        """Start what is missing of the processes, and ask the repositories that are due."""
        self._observers.watch()
        if self._stopping_since is None:
            self._dispatcher.fill(self.slots + self._spare)
            self._reconciler.turn()

    def _interrupt(self) -> None:
        self._dispatcher.interrupt("the worker was stopped")
        if time.monotonic() - (self._stopping_since or 0.0) > self.grace_seconds + self.stop_seconds:
            self._dispatcher.abandon()

    def _close(self) -> None:
        self._dispatcher.close()
        self._observers.close()
        self._wake_ups.close()
        with suppress(UnreachableStoreError, UnknownOutcomeError):  # it is forgotten without a heartbeat
            self._store.forget_worker(self._me)
        signal.set_wakeup_fd(-1)
        self._store.close()


class Deletion:
    """Has old releases deleted when nothing executes: it slows what is deployed meanwhile."""

    def __init__(self, dispatcher: Dispatcher, state_dir: Path) -> None:
        self._dispatcher = dispatcher
        self._state_dir = state_dir
        self._backoff = Backoff()
        self._process: Connection | None = None
        self._since: float | None = time.monotonic()

    def note(self) -> None:
        """Note that something may have been set aside."""
        self._since = self._since or time.monotonic()

    def turn(self, *, is_quiet: bool) -> None:
        """Start the process if nothing executes or happens, or something waits for long, or end it."""
        if self._since is None or not self._backoff.is_due:
            return
        may_run = is_quiet or time.monotonic() - self._since > DELETION
        if may_run and self._process is None:
            self._backoff.started()
            self._process = self._dispatcher.start(DELETE, str(self._state_dir), self._ended)
        elif self._dispatcher.busy and not may_run and self._process is not None:
            self._dispatcher.stop(self._process)
            self._process = None

    def _ended(self, answer: object) -> None:
        self._process = None
        if answer is not None:
            self._since = None
            return
        message = "the process that deletes old releases is gone; it is started again in %g s"
        logger.error(message, self._backoff.pause())

"""The worker: claims deployments, assigns them to processes, and recovers those whose process is gone."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

from fraisier_core.config import Config, ConfigSource
from fraisier_core.engine.recovery import take_over
from fraisier_core.errors import FraisierError, StoreError
from fraisier_core.plugins import Plugins
from fraisier_core.requests.configured import configure_store
from fraisier_core.store.records import Lease
from fraisier_core.system.failpoints import failpoint
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity, forbid_dumps, kill_group
from fraisier_core.worker.assignment import Assignment, Channel, assign, introduced
from fraisier_core.worker.launcher import Launcher
from fraisier_core.worker.observers import ObserversProcess
from fraisier_core.worker.process import DeploymentProcess

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 5.0
STOP_SECONDS = 15.0


class Slot:
    """A place for one deployment: first a warm process, then one that executes."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.process: ProcessIdentity | None = None
        self.lease: Lease | None = None

    @property
    def is_ready(self) -> bool:
        """Whether its process waits for an assignment."""
        return self.process is not None and self.lease is None


class Worker:
    """One dispatcher for all slots.

    Args:
        source: the configuration, without the secrets of webhooks.
        plugins: the installed plugins.
        slots: how many deployments may run at once.
        grace_seconds: how long deployments may finish after SIGTERM before they are interrupted.
        supervisor: a socket or pipe whose end means that the supervisor is gone, and that this worker is
            to stop as on SIGTERM.
    """

    def __init__(
        self,
        source: ConfigSource,
        plugins: Plugins,
        slots: int = 2,
        grace_seconds: float = 25.0,
        supervisor: int | None = None,
    ) -> None:
        self._source = source
        self._plugins = plugins
        self._count = slots
        self._grace = grace_seconds
        self._supervisor = supervisor
        self._slots: list[Slot] = []
        self._stopping_since: float | None = None
        self._beat = 0.0
        self._configured = ""
        self._refill_at = 0.0

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then finish what runs within the grace. Returns when all is done."""
        forbid_dumps()
        config, self._host = self._source.current(), Host()
        types = sorted({fraise.type for fraise in config.fraises.values()})
        process = DeploymentProcess(config.database, self._host, self._plugins, types)
        self._launcher = Launcher(process)
        self._open()
        with selectors.DefaultSelector() as self._selector:
            self._listen()
            while not self._is_done():
                self._turn()
        self._close()

    def _open(self) -> None:
        config = self._source.current()
        self._store = self._plugins.open_store(config.database, self._host)
        self._wake_ups = self._store.wake_ups()
        self._me = ProcessIdentity.of(os.getpid())
        self._observers = ObserversProcess(config.path, self._plugins)

    def _listen(self) -> None:
        self._signals, self._wakeup = socket.socketpair()
        for end in (self._signals, self._wakeup):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._register(self._signals, lambda: self._signals.recv(64))
        self._register(self._wake_ups, self._wake_ups.clear)
        if self._supervisor is not None:
            self._register(self._supervisor, self._supervisor_gone)

    def _register(self, source: object, handler: Callable[[], object]) -> None:
        self._selector.register(source, selectors.EVENT_READ, handler)  # type: ignore[arg-type]

    def _supervisor_gone(self) -> None:
        self._selector.unregister(self._supervisor)  # type: ignore[arg-type]
        self._stop()

    def _stop(self, number: int = 0, frame: FrameType | None = None) -> None:  # noqa: ARG002 - a signal handler
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()

    # One turn of the loop

    def _turn(self) -> None:
        self._fill_slots()
        self._report()
        self._observers.watch()
        if self._stopping_since is None:
            self._dispatch()
        elif time.monotonic() - self._stopping_since > self._grace:
            self._interrupt()
        for key, _ in self._selector.select(POLL_SECONDS):
            key.data()

    def _fill_slots(self) -> None:
        if self._stopping_since is not None or time.monotonic() < self._refill_at:
            return
        while len(self._slots) < self._count:
            slot = Slot(self._launcher.launch())
            self._slots.append(slot)
            self._register(slot.channel, lambda slot=slot: self._hear(slot))  # type: ignore[misc]

    def _hear(self, slot: Slot) -> None:
        """A process is ready, or has ended: a lease that it still holds has then expired."""
        if slot.process is None and (process := introduced(slot.channel)):
            slot.process = process
            return
        if slot.process is None:  # it could not even start: do not spin
            self._refill_at = time.monotonic() + POLL_SECONDS
        self._selector.unregister(slot.channel)
        slot.channel.close()
        self._slots.remove(slot)

    def _report(self) -> None:
        """Record a heartbeat, and see to the checkpoints if no other process does."""
        if time.monotonic() - self._beat < HEARTBEAT_SECONDS:
            return
        self._beat = time.monotonic()
        try:
            self._store.heartbeat(self._me)
            self._store.maintain()
        except StoreError as error:  # such as a full disk: what runs goes on
            logger.error("%s", error)

    def _dispatch(self) -> None:
        try:
            config = self._configuration()
            self._end_overdue()
            while (slot := self._ready_slot()) and self._assign(slot, config):
                pass
        except FraisierError as error:
            logger.error("%s", error)

    def _configuration(self) -> Config:
        config = self._source.current()
        if config.text != self._configured:
            configure_store(self._store, config)
            self._configured = config.text
        return config

    def _ready_slot(self) -> Slot | None:
        return next((slot for slot in self._slots if slot.is_ready), None)

    def _assign(self, slot: Slot, config: Config) -> bool:
        """Assign the most urgent work to a slot, and return whether there was any."""
        assert slot.process is not None  # noqa: S101 - only ready slots come here
        lease = self._expired_lease(slot.process)
        recover = lease is not None
        lease = lease or self._store.claim(slot.process)
        if lease is None:
            return False
        failpoint("after_claim")
        slot.lease = lease
        deployment = self._store.deployment(lease.deployment_id)
        assign(slot.channel, Assignment.under(config, deployment, lease, recover=recover))
        return True

    def _expired_lease(self, process: ProcessIdentity) -> Lease | None:
        for held in self._store.expired():
            if lease := take_over(self._store, self._host, held, process):
                return lease
        return None

    def _end_overdue(self) -> None:
        """End a process that is alive but whose lease expired, so that its slot is free to recover it."""
        held = {each.lease: each for each in self._store.expired()} if self._is_busy() else {}
        for slot in self._slots:
            if slot.lease is not None and (lease := held.get(slot.lease)):
                deployment = lease.lease.deployment_id
                logger.warning("the lease of deployment %s expired while its process was alive", deployment)
                kill_group(lease.holder)

    def _is_busy(self) -> bool:
        return all(slot.lease for slot in self._slots)

    # The end

    def _is_done(self) -> bool:
        return self._stopping_since is not None and not any(slot.lease for slot in self._slots)

    def _interrupt(self) -> None:
        for slot in self._slots:
            slot.channel.send("stop")
        if time.monotonic() - (self._stopping_since or 0.0) > self._grace + STOP_SECONDS:
            self._slots.clear()

    def _close(self) -> None:
        for slot in self._slots:
            slot.channel.close()
        self._launcher.close()
        self._observers.close()
        self._wake_ups.close()
        self._store.forget_worker(self._me)
        signal.set_wakeup_fd(-1)
        self._store.close()

"""The process of one deployment: it holds its own lease, and leaves nothing running behind it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from fraisier_core.config import ResolvedEnvironment
from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.execution import DeploymentContext, Execution, open_context
from fraisier_core.engine.forward import execute
from fraisier_core.engine.recorder import Recorder
from fraisier_core.engine.recovery import recover, recover_unactivated
from fraisier_core.errors import (
    CancelledError,
    ConfigurationError,
    FencedError,
    FraisierError,
    InterruptedRunError,
    StoreError,
)
from fraisier_core.git.fetched import sweep_secrets
from fraisier_core.plugins import Plugins
from fraisier_core.store.events import Event
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, Lease
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity, become_subreaper, kill_descendants
from fraisier_core.system.timing import INTERRUPTION, LAST_GRACE, RENEWAL, TICK
from fraisier_core.text.redaction import Redactor
from fraisier_core.units.starting import start_next
from fraisier_core.worker.assignment import Assignment, receive, send

logger = logging.getLogger(__name__)

NOWHERE = Path("/nowhere")
MAY_FORBID, MUST_FORBID = 0o022, 0o002
"""What a umask may forbid others, so that a service's user can read what is built, and what it must."""


@dataclass(frozen=True, slots=True)
class DeploymentProcess:
    """What a deployment process does; forked from a warm one, it waits with its store open."""

    database: str
    host: Host
    plugins: Plugins
    types: Sequence[str]

    def __call__(self, line: Connection) -> None:
        """Wait for an assignment and execute it; then start the units of runs that waited for it."""
        become_subreaper()
        os.umask(os.umask(0) & MAY_FORBID | MUST_FORBID)
        store = self.plugins.store(self.database).open(self.database, self.host)
        self._prepare(store)
        keeper = LeaseKeeper(line, store)
        keeper.start()
        send(line, ProcessIdentity.of(os.getpid()))
        assignment = receive(line)
        if assignment is not None:
            self._execute(assignment, store, keeper)
            start_next(store, assignment.deployment.fraise_id, assignment.deployment.environment)

    def _prepare(self, store: Store) -> None:
        """Do once what every deployment begins with, without effect: a fork is slow at all it does first."""
        store.prepare()
        for kind in self.types:
            with suppress(Exception):  # a type that cannot be used must not stop the others
                nothing = ResolvedEnvironment(
                    "", "", kind, f"{NOWHERE}/repository", NOWHERE, {"app_path": NOWHERE / "app"}, frozenset()
                )
                open_context(nothing, self.plugins, CancellationToken())

    def _execute(self, assignment: Assignment, store: Store, keeper: LeaseKeeper) -> None:
        lease, deployment = assignment.lease, assignment.deployment
        keeper.begin()
        store.insist()
        if assignment.recover and assignment.environment:
            sweep_secrets(assignment.environment.mirrors)
        if assignment.recover and recover_unactivated(store, lease, deployment):
            return
        secrets = assignment.environment.secrets if assignment.environment else ()
        steps = len(store.steps(deployment.id)) if assignment.recover else 0
        recorder = Recorder(store, lease, deployment, Redactor(secrets), steps)
        keeper.keep(recorder)
        try:
            self._work(assignment, store, recorder, keeper.cancellation)
        except FencedError:
            logger.warning("deployment %s was taken over by another process", lease.deployment_id)
        except StoreError as error:
            logger.error(
                "deployment %s cannot be recorded, and is recovered later: %s", lease.deployment_id, error
            )
        except InterruptedRunError as error:
            _leave(store, recorder, error)
        finally:
            kill_descendants(grace_seconds=LAST_GRACE)

    def _work(
        self, assignment: Assignment, store: Store, recorder: Recorder, cancellation: CancellationToken
    ) -> None:
        deployment = recorder.deployment
        try:
            context = self._context(assignment, cancellation)
        except Exception as error:  # noqa: BLE001 - the run boundary: nothing has begun, and it must end
            logger.warning("deployment %s has no context: %s", deployment.id, recorder.redacted(repr(error)))
            recorder.append(*_failed(deployment, str(error)))
            return
        execution = Execution(context, store, recorder, cancellation)
        if assignment.recover:
            recover(execution)
        else:
            execute(execution)

    def _context(self, assignment: Assignment, cancellation: CancellationToken) -> DeploymentContext:
        if assignment.environment is None:
            raise ConfigurationError([assignment.problem])
        return open_context(assignment.environment, self.plugins, cancellation)


def _failed(deployment: Deployment, message: str) -> list[Event]:
    """Return how a deployment ends that has no context; what it had activated before is unknown."""
    if deployment.activation_started:
        return [Event("serving"), Event("failed", message=f"{message}; the serving release is unknown")]
    return [Event("failed", message=f"{message}; nothing was done")]


def _leave(store: Store, recorder: Recorder, error: InterruptedRunError) -> None:
    """Record `interrupted` if nothing was activated; otherwise the next worker finds the expired lease."""
    logger.warning("deployment %s: %s", recorder.deployment.id, error)
    recover_unactivated(store, recorder.lease, recorder.deployment, str(error))


@dataclass(slots=True)
class LeaseKeeper:
    """Renews the lease, stores output as it arrives, and tells the attempt when to stop. Whatever comes from
    the owner, its end included, interrupts the run, though the store may be away: it has a thread of its own,
    as has renewing, since the output may wait for the store. The threads are there before there is anything
    to keep: to start one then would be a tenth of the time to the first step.
    """

    owner: Connection
    store: Store
    cancellation: CancellationToken = field(default_factory=CancellationToken)
    _begun: threading.Event = field(default_factory=threading.Event)
    _recorders: SimpleQueue[Recorder] = field(default_factory=SimpleQueue)
    _leases: SimpleQueue[Lease] = field(default_factory=SimpleQueue)
    _cancelling: bool = False

    def start(self) -> None:
        """Start the threads, which wait for what is to be kept."""
        for work in (self._heed_owner, self._renew, self._keep):
            threading.Thread(target=work, daemon=True).start()

    def begin(self) -> None:
        """Heed the owner from now on."""
        self._begun.set()

    def keep(self, recorder: Recorder) -> None:
        """Begin to keep the lease of a recorder."""
        self._leases.put(recorder.lease)
        self._recorders.put(recorder)

    def _heed_owner(self) -> None:
        self._begun.wait()
        reason = receive(self.owner)
        self._end(InterruptedRunError(reason or "the deployment process lost its owner"))

    def _renew(self) -> None:
        lease = self._leases.get()
        self._repeat(RENEWAL, lambda: self.store.renew(lease))

    def _keep(self) -> None:
        recorder = self._recorders.get()
        self._repeat(TICK, lambda: self._tick(recorder))

    def _repeat(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something again and again, until the lease is lost."""
        while True:
            time.sleep(seconds)
            try:
                work()
            except FencedError as error:
                return self._end(error)
            except StoreError as error:
                logger.warning("%s", error)

    def _tick(self, recorder: Recorder) -> None:
        recorder.flush()
        if not self._cancelling and (by := self.store.cancellation(recorder.lease)):
            self._cancelling = True
            self.cancellation.cancel(CancelledError(by))

    def _end(self, reason: FraisierError) -> None:
        """Stop the attempt, and end the process even if a plugin ignores everything or the store is away; its
        lease expires and is recovered.
        """
        self.cancellation.cancel(reason)
        time.sleep(INTERRUPTION)
        kill_descendants(grace_seconds=LAST_GRACE)
        os._exit(1)

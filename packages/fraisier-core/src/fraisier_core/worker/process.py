"""The process of one deployment: it holds its own lease, and leaves nothing running behind it."""

from __future__ import annotations

import logging
import os
import selectors
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from fraisier_core.config import Config, ConfigSource
from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.context import open_context
from fraisier_core.engine.execution import Execution
from fraisier_core.engine.forward import execute
from fraisier_core.engine.recorder import Recorder
from fraisier_core.engine.recovery import recover, recover_unactivated
from fraisier_core.errors import CancelledError, FencedError, InterruptedRunError, StoreError
from fraisier_core.plugins import Plugins
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, Event, Lease
from fraisier_core.system.host import Host
from fraisier_core.system.processes import become_subreaper, kill_descendants
from fraisier_core.text.redaction import Redactor
from fraisier_core.worker.launcher import Assignment, Channel, assigned, introduce

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
RENEWAL_SECONDS = 2.0
GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DeploymentProcess:
    """What a deployment's process does; forked from a warm one, it waits with its store open.

    Args:
        source: the configuration as the warm process loaded it.
        plugins: the installed plugins.
    """

    source: ConfigSource
    plugins: Plugins

    def __call__(self, channel: Channel) -> None:
        """Wait for an assignment and execute it."""
        become_subreaper()
        config = self.source.current()
        store = self.plugins.open_store(config.database, Host())
        self._prepare(config, store)
        introduce(channel)
        assignment = assigned(channel)
        if assignment is not None:
            self._execute(assignment, store, channel)

    def _prepare(self, config: Config, store: Store) -> None:
        """Do once what every deployment begins with, without effect: a fork is slow at all it does first."""
        store.prepare()
        for fraise in config.fraises.values():
            for environment in fraise.environments:
                with suppress(Exception):  # an environment that cannot be opened must not stop the others
                    open_context(config, self.plugins, fraise.name, environment, CancellationToken())
                    return

    def _config(self, assignment: Assignment) -> Config:
        config = self.source.current()
        text = assignment.configuration
        return config if config.text == text else self.source.parse(text)

    def _execute(self, assignment: Assignment, store: Store, channel: Channel) -> None:
        lease, cancellation = assignment.lease, CancellationToken()
        deployment = store.deployment(lease.deployment_id)
        if assignment.recover and recover_unactivated(store, lease, deployment):
            return
        config = self._config(assignment)
        steps = len(store.steps(deployment.id)) if assignment.recover else 0
        recorder = Recorder(store, lease, deployment, Redactor(config.secret_values), steps)
        LeaseKeeper(channel, store, lease, recorder, cancellation).start()
        try:
            self._work(assignment, config, store, recorder, cancellation)
        except FencedError:
            logger.warning("deployment %s was taken over by another process", lease.deployment_id)
        except StoreError as error:
            logger.error(
                "deployment %s cannot be recorded, and is recovered later: %s", lease.deployment_id, error
            )
        except InterruptedRunError as error:
            _leave(store, recorder, error)
        finally:
            kill_descendants(grace_seconds=1.0)

    def _work(
        self,
        assignment: Assignment,
        config: Config,
        store: Store,
        recorder: Recorder,
        cancellation: CancellationToken,
    ) -> None:
        deployment = recorder.deployment
        try:
            context = open_context(
                config, self.plugins, deployment.fraise_id, deployment.environment, cancellation
            )
        except Exception as error:  # noqa: BLE001 - the run boundary: nothing has begun, and it must end
            logger.warning("deployment %s has no context: %s", deployment.id, recorder.redacted(repr(error)))
            recorder.append(*_failed(deployment, str(error)))
            return
        execution = Execution(context, store, recorder, cancellation)
        if assignment.recover:
            recover(execution)
        else:
            execute(execution)


def _failed(deployment: Deployment, message: str) -> list[Event]:
    """Return how a deployment ends that has no context; what it had activated before is unknown."""
    if deployment.activation_started:
        return [Event("serving"), Event("failed", message=f"{message}; the serving release is unknown")]
    return [Event("failed", message=f"{message}; nothing was done")]


def _leave(store: Store, recorder: Recorder, error: InterruptedRunError) -> None:
    """Record `interrupted` if nothing was activated; otherwise the next worker finds the expired lease."""
    logger.warning("deployment %s: %s", recorder.deployment.id, error)
    recover_unactivated(store, recorder.lease, recorder.deployment)


class LeaseKeeper(threading.Thread):
    """Renews the lease, stores output as it arrives, and tells the attempt when to stop.

    Args:
        channel: the line to the owner; at its end the run is interrupted.
        store: to renew the lease and see whether cancellation was requested.
        lease: the lease of this run.
        recorder: flushed a few times a second.
        cancellation: told when to stop.
    """

    def __init__(
        self,
        channel: Channel,
        store: Store,
        lease: Lease,
        recorder: Recorder,
        cancellation: CancellationToken,
    ) -> None:
        super().__init__(daemon=True)
        self._channel = channel
        self._store = store
        self._lease = lease
        self._recorder = recorder
        self._cancellation = cancellation
        self._renewed = time.monotonic()
        self._cancelling = False

    def run(self) -> None:
        """Watch until the process ends or the owner is gone."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            while not selector.select(TICK_SECONDS):
                try:
                    self._tick()
                except FencedError as error:
                    self._cancellation.cancel(error)
                    break
                except StoreError as error:
                    logger.warning("%s", error)
        self._cancellation.cancel(InterruptedRunError("the worker that owned this deployment is gone"))
        self._end_at_last()

    def _tick(self) -> None:
        self._recorder.flush()
        if time.monotonic() - self._renewed >= RENEWAL_SECONDS:
            self._store.renew(self._lease)
            self._renewed = time.monotonic()
        if not self._cancelling and (by := self._store.cancellation(self._lease)):
            self._cancelling = True
            self._cancellation.cancel(CancelledError(by))

    def _end_at_last(self) -> None:
        """End the process even if a plugin ignores everything; its lease expires and is recovered."""
        time.sleep(GRACE_SECONDS)
        kill_descendants(grace_seconds=1.0)
        os._exit(1)

"""A deployment in the foreground: a process of its own does it, this one follows it and keeps it alive."""

from __future__ import annotations

import logging
import os
import select
import time

from fraisier_core.engine.recovery import take_over
from fraisier_core.errors import InterruptedRunError
from fraisier_core.requests.configured import configure_store
from fraisier_core.requests.requesting import request_deployment
from fraisier_core.store.records import Deployment, HeldLease, Lease, Request
from fraisier_core.system.processes import ProcessIdentity, forbid_dumps
from fraisier_core.worker.assignment import Assignment, Channel, assign, introduced
from fraisier_core.worker.launcher import Launcher
from fraisier_core.worker.process import DeploymentProcess

from fraisier.cli.follow import Display, Follower
from fraisier.cli.interrupts import Interrupts
from fraisier.cli.session import Session
from fraisier.cli.tables import short_id
from fraisier.terminal import tell

POLL_SECONDS = 0.1
RECOVERY_SECONDS = 1.0
CLOSING_SECONDS = 10.0
MAX_PROCESSES = 5
CANCELLING = "cancelling (press Ctrl-C again to quit; the deployment ends interrupted)"


class Foreground:
    """Executes one deployment for as long as this process lives, unless a worker claims it.

    The launcher is forked first, because neither the store nor a thread survives a fork.

    Args:
        session: what the command works with; its user is the owner of the store already.
    """

    def __init__(self, session: Session) -> None:
        _keep_quiet()
        forbid_dumps()
        self._session = session
        config = session.config
        process = DeploymentProcess(config.database, session.host, session.plugins, [])
        self._launcher = Launcher(process)
        self.store = session.open_store()
        configure_store(self.store, config)
        self._lines: list[Channel] = []
        self._spare: tuple[Channel, ProcessIdentity] | None = None
        self._launched = 0
        self._announced: set[str] = set()
        self._recovered_at = 0.0

    def settle(self, fraise: str, environment: str) -> None:
        """Recover every deployment of an environment whose process is gone, and wait until that is done."""
        for held in self._void(fraise, environment):
            gone = f"the process of deployment {short_id(held.lease.deployment_id)} is gone"
            tell(f"{gone}; recovering it first")
            self._recover(held)
        while self._lines:
            self._pause()

    def run(self, request: Request, display: Display) -> Deployment:
        """Request a deployment, execute it or wait until another process has, and return how it ended.

        Raises `InterruptedRunError` if its processes end again and again.
        """
        channel, process = self._ready()
        deployment_id, lease = request_deployment(self.store, request, process)
        if lease is not None:
            self._assign(channel, lease)
        try:
            deployment = self._follow(deployment_id, display)
            self._await_processes()
        finally:
            self._close()
        return deployment

    def _follow(self, deployment_id: str, display: Display) -> Deployment:
        follower = Follower(self.store, deployment_id)
        with Interrupts() as interrupts, display:
            while not (progress := follower.progress()).has_ended:
                display.show(progress)
                self._attend(progress.deployment, display, cancel=interrupts.pressed)
                self._pause()
            display.show(progress)
        return progress.deployment

    def _attend(self, deployment: Deployment, display: Display, *, cancel: bool) -> None:
        """Do what the deployment needs from outside, and say what its steps do not."""
        if cancel and self._once(display, CANCELLING):
            self.store.request_cancel(deployment.id, self._session.user)
        if self._must_wait(deployment):
            self._announce_wait(deployment, display)
        elif deployment.status == "running" and deployment.error_message:
            self._once(display, f"rolling back: {deployment.error_message}")

    def _announce_wait(self, deployment: Deployment, display: Display) -> None:
        where = f"{deployment.fraise_id} {deployment.environment}"
        if running := self.store.running(deployment.fraise_id, deployment.environment):
            self._once(
                display,
                f"{where} is busy with deployment {short_id(running)}: "
                f"deployment {short_id(deployment.id)} waits for it (Ctrl-C cancels)",
            )

    def _once(self, display: Display, message: str) -> bool:
        """Announce something, and return whether it was the first time."""
        if message in self._announced:
            return False
        self._announced.add(message)
        display.announce(message)
        return True

    def _must_wait(self, deployment: Deployment) -> bool:
        """Recover or claim what can be, and return whether the deployment has to wait for another one."""
        if time.monotonic() - self._recovered_at >= RECOVERY_SECONDS:
            for held in self._void(deployment.fraise_id, deployment.environment):
                self._recover(held)
        if deployment.status != "pending":
            return False
        if self.store.running(deployment.fraise_id, deployment.environment) is not None:
            return True
        channel, process = self._ready()
        if lease := self.store.claim(process, deployment.id):
            self._assign(channel, lease)
        return False

    def _void(self, fraise: str, environment: str) -> list[HeldLease]:
        self._recovered_at = time.monotonic()
        found = []
        for held in self.store.expired():
            deployment = self.store.deployment(held.lease.deployment_id)
            if (deployment.fraise_id, deployment.environment) == (fraise, environment):
                found.append(held)
        return found

    def _recover(self, held: HeldLease) -> None:
        channel, process = self._ready()
        if lease := take_over(self.store, self._session.host, held, process):
            self._assign(channel, lease, recover=True)

    # The processes

    def _ready(self) -> tuple[Channel, ProcessIdentity]:
        """Return a process that waits for an assignment."""
        if self._spare is None:
            self._spare = self._launch()
        return self._spare

    def _launch(self) -> tuple[Channel, ProcessIdentity]:
        if self._launched == MAX_PROCESSES:
            raise InterruptedRunError(f"{MAX_PROCESSES} processes ended before the deployment did")
        self._launched += 1
        channel = self._launcher.launch()
        process = introduced(channel)
        if process is None:
            raise InterruptedRunError("the process for the deployment ended before it could start")
        return channel, process

    def _assign(self, channel: Channel, lease: Lease, *, recover: bool = False) -> None:
        deployment = self.store.deployment(lease.deployment_id)
        assign(channel, Assignment.under(self._session.config, deployment, lease, recover=recover))
        self._lines.append(channel)
        self._spare = None

    def _pause(self) -> None:
        """Wait a moment, or until an executing process ends."""
        ended, _, _ = select.select(self._lines, [], [], POLL_SECONDS)
        for line in ended:
            if line.receive() is None:
                self._lines.remove(line)
                line.close()

    def _await_processes(self) -> None:
        """Let what follows the end of a deployment finish, such as the removal of old releases."""
        until = time.monotonic() + CLOSING_SECONDS
        while self._lines and time.monotonic() < until:
            self._pause()

    def _close(self) -> None:
        for line in [*self._lines, *([self._spare[0]] if self._spare else [])]:
            line.close()
        self._launcher.close()


def _keep_quiet() -> None:
    """Show the progress alone, not the log; `FRAISIER_DEBUG` shows both."""
    if os.environ.get("FRAISIER_DEBUG"):
        logging.basicConfig(level=logging.INFO)
    else:
        logging.getLogger().addHandler(logging.NullHandler())

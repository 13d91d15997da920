"""A deployment in the foreground: a process of its own does it, this one follows it and keeps it alive."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from fraisier_core.engine.trash import trash
from fraisier_core.errors import InterruptedRunError
from fraisier_core.requests.requesting import request_deployment
from fraisier_core.store.records import Deployment, HeldLease, Request
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.processes import forbid_dumps
from fraisier_core.system.systemd import is_shutting_down
from fraisier_core.system.timing import FOLLOW, INTERRUPTION, LONGEST_PAUSE, RECOVERY
from fraisier_core.worker.assignment import send
from fraisier_core.worker.dispatcher import Dispatcher, Slot
from fraisier_core.worker.jobs import delete_old_releases, start_launcher, warmth_of
from fraisier_core.worker.launcher import fork

from fraisier.cli.attending import Attendant
from fraisier.cli.follow import Display
from fraisier.cli.session import ActingSession
from fraisier.cli.tables import noun, short_id
from fraisier.cli.told_to_end import heed_sigterm, is_told_to_end
from fraisier.terminal import tell

MAX_PROCESSES = 5
REAPING = 0.005


class Foreground(Attendant):
    """Executes one deployment for as long as this process lives, unless a worker claims it. This process acts
    as the owner of the store already; `process` is the line to what `fork_early` forked. With `jobs_only`, it
    recovers no deployments, which would be under the limits of a job.
    """

    cancelling = "cancelling (press Ctrl-C again to quit; the deployment ends interrupted)"

    def __init__(self, session: ActingSession, process: Connection, *, jobs_only: bool = False) -> None:
        super().__init__()
        forbid_dumps()  # a change of user undid it
        self._session = session
        self._jobs_only = jobs_only
        warmth, state_dir = warmth_of(session.config, session.host), session.config.state_dir
        send(process, (warmth, state_dir))
        self._deletion = _deletion(state_dir)
        self._is_stopping = False
        heed_sigterm()
        self.store = session.open_store()
        start = partial(start_launcher, warmth, session.source)
        self._dispatcher = Dispatcher(self.store, session.host, session.source, start)
        self._dispatcher.adopt(process)
        self._dispatcher.configure()
        self._recovered_at = 0.0
        self._relieved: set[str] = set()

    def settle(self, fraise: str, environment: str) -> None:
        """Recover what of an environment is left behind, and wait until that is done."""
        for held in self._expired(fraise, environment):
            gone = f"the process of deployment {short_id(held.lease.deployment_id)} is gone"
            tell(f"{gone}; recovering it first")
            self._dispatcher.recover(self._ready_slot(), held)
        while self._dispatcher.busy and not is_told_to_end():
            self._dispatcher.wait(FOLLOW)

    def run(self, request: Request, display: Display) -> Deployment:
        """Request a deployment, have it executed, and return how it ended. Raises `InterruptedRunError`."""
        slot = self._ready_slot()
        assert slot.process is not None  # noqa: S101 - it is ready
        deployment_id, claimed = request_deployment(self.store, request, slot.process)
        self.store.insist()
        if claimed is not None:
            self._dispatcher.assign(slot, claimed)
        return self.execute(deployment_id, display)

    def execute(self, deployment_id: str, display: Display) -> Deployment:
        """Have a requested deployment executed as soon as its environment is free, and return how it ended.
        Raises `InterruptedRunError`.
        """
        try:
            deployment = self.follow(self.store, deployment_id, display)
            self._await_processes()
        finally:
            self._dispatcher.close()
            if self._deletion is not None:
                self._deletion.close()
        _await_children()
        self.store.wake()  # a worker deletes what was set aside
        return deployment

    def wait(self) -> None:
        """Let the deployment process go on for a moment."""
        self._dispatcher.wait(FOLLOW)

    def cancel(self, deployment_id: str) -> None:
        """Request the cancellation of the deployment."""
        self.store.request_cancel(deployment_id, self._session.user)

    def stop(self, deployment: Deployment) -> str | None:
        """Cancel the deployment after SIGTERM, once; if the host shuts down, interrupt it. Raises
        `InterruptedRunError` if it goes on waiting then.
        """
        if not is_told_to_end() or self._is_stopping:
            return None
        self._is_stopping = True
        if not is_shutting_down():
            self.store.request_cancel(deployment.id, _who_stopped())
            return "told to end by SIGTERM: cancelling"
        if deployment.status == "pending":
            what = f"{deployment.kind} {deployment.id}"
            raise InterruptedRunError(f"the host shuts down; {what} goes on waiting")
        self._dispatcher.interrupt("the host was shut down")
        return "the host shuts down: interrupting"

    def awaited(self, deployment: Deployment) -> str | None:
        """Recover or claim what can be, and return the deployment that this one has to wait for, if any."""
        if time.monotonic() - self._recovered_at >= RECOVERY:
            for held in self._expired(deployment.fraise_id, deployment.environment):
                self._dispatcher.recover(self._ready_slot(), held)
            self._back_up_for(deployment)
        if deployment.status != "pending":
            return None
        awaited = self.store.awaited(deployment)
        if awaited is None:
            self._dispatcher.claim(self._ready_slot(), deployment.id)
        return awaited

    def _back_up_for(self, deployment: Deployment) -> None:
        """Execute the backup that the deployment waits for, if no worker is there to do it."""
        for each in self.store.awaited_backups() if self.store.live_workers() == 0 else ():
            slot = self._ready_slot() if each.requested_for == deployment.id else None
            if slot is not None and self._dispatcher.claim(slot, each.id):
                self._relieved.add(each.id)

    def relieve(self, head: Deployment) -> str:
        """Execute the run that is next in line, which nothing else does: whoever was to may be gone."""
        if head.executor != "worker":
            return super().relieve(head)
        if self._dispatcher.claim(self._ready_slot(), head.id):
            self._relieved.add(head.id)
        return f"no worker is running: this command executes {noun(head.kind)} {short_id(head.id)} first"

    def _expired(self, fraise: str, environment: str) -> list[HeldLease]:
        self._recovered_at = time.monotonic()
        found = self._dispatcher.expired(fraise, environment)
        return [each for each in found if not self._jobs_only or self._is_of_job(each)]

    def _is_of_job(self, held: HeldLease) -> bool:
        return KINDS[self.store.deployment(held.lease.deployment_id).kind].job

    def _ready_slot(self) -> Slot:
        """Return a slot whose process waits for an assignment."""
        until = time.monotonic() + LONGEST_PAUSE
        while (slot := self._dispatcher.ready_slot()) is None:
            if self._dispatcher.busy == len(self._dispatcher.slots):  # none gets ready
                self._dispatcher.fill(1 + self._dispatcher.busy)
            if self._dispatcher.launched - len(self._relieved) > MAX_PROCESSES:
                raise InterruptedRunError(f"{MAX_PROCESSES} processes ended before the deployment did")
            if time.monotonic() > until:
                raise InterruptedRunError("no process for the deployment could be started")
            self._dispatcher.wait(FOLLOW)
        return slot

    def _await_processes(self) -> None:
        """Let the deployment process end after its deployment has; what was executed for another goes on."""
        until = time.monotonic() + INTERRUPTION
        while self._dispatcher.busy and (self._relieves() or time.monotonic() < until):
            self._dispatcher.wait(FOLLOW)

    def _relieves(self) -> bool:
        leases = (slot.lease for slot in self._dispatcher.slots)
        return any(lease is not None and lease.deployment_id in self._relieved for lease in leases)


def _who_stopped() -> str:
    """Return who sent SIGTERM: systemd if this is the main process of a unit."""
    return "systemd" if os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid()) else "SIGTERM"


def _await_children() -> None:
    """Leave no process behind that was told to end: whoever looks after this one would kill it."""
    until = time.monotonic() + INTERRUPTION
    with suppress(ChildProcessError):  # there are no more
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(REAPING)


def _deletion(state_dir: Path) -> Connection | None:
    """Have deleted what earlier deployments set aside, for as long as the line to that process is open."""
    if not any(trash(state_dir)):
        return None
    line = fork("process that deletes old releases", delete_old_releases)
    send(line, str(state_dir))
    return line

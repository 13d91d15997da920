"""One installation: a forge, a store, a machine with a worker of two slots, and three environments."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from fraisier_core.config import Config
from fraisier_core.engine.execution import DeploymentContext, Execution
from fraisier_core.engine.forward import execute
from fraisier_core.engine.recorder import Recorder
from fraisier_core.engine.recovery import recover, recover_unactivated
from fraisier_core.errors import FencedError, HeldError, InterruptedRunError
from fraisier_core.push import BRANCH_PREFIX, TAG_PREFIX, DeliveryId, Push
from fraisier_core.requests.holding import hold
from fraisier_core.requests.requesting import configure_store, request_deployment, requests_of
from fraisier_core.requests.routing import route
from fraisier_core.settings import HealthCheck
from fraisier_core.store.received import Delivery, Receipt
from fraisier_core.store.records import HeldLease, Lease, Request
from fraisier_core.system.host import utc_now
from fraisier_core.text.redaction import Redactor

from tests.model.history import History, SimulatedMirror
from tests.model.order import Order, Pushed
from tests.model.process import SimulatedProcess
from tests.model.record import Record
from tests.model.servers import Server, SimulatedDeployer, SimulatedHost, SimulatedWorkspace
from tests.model.stores import Stores

URL = "https://forge.example/acme/site.git"
CONFIGURATION = f"""\
fraises:
  site:
    type: etl
    repository: {URL}
    environments:
      production: {{app_path: /nowhere/production, keep_releases: 2, script_path: job}}
      staging:
        app_path: /nowhere/staging
        keep_releases: 2
        script_path: job
        run: on_deploy
        overlap: skip
        deploy_during_run: true
      clone: {{app_path: /nowhere/clone, script_path: job, overlap: skip}}
branch_mapping:
  main: [{{fraise: site, environment: production}}, {{fraise: site, environment: clone}}]
  v2: {{fraise: site, environment: staging}}
  v*: {{fraise: site, environment: staging, tags: true}}
"""
MANY = 10_000
SLOTS = 2


class Installation:
    """Everything that the model's rules act on."""

    def __init__(self, config: Config, stores: Stores) -> None:
        self.config = config
        self.stores = stores
        self.loop = asyncio.new_event_loop()
        self.history = History()
        self.servers = {
            name: Server(name, name == "clone", name == "production", self.history)
            for name in config.fraises["site"].environments
        }
        self.mirror = SimulatedMirror(self.history)
        self.host = SimulatedHost(boot_id="1")
        self.store = stores.create(self.host)
        configure_store(self.store, config, executes=True)
        self.record, self.order = Record(), Order()
        self.processes: list[SimulatedProcess] = []
        self.started = 0
        self.pushes = self.replays = 0
        self.held: list[Pushed] = []
        self.delivered: list[Pushed] = []

    # The forge

    def push(self, branch: str, fault: str | None, *, held: bool) -> None:
        """Push a commit on top of a branch, and deliver it now or later."""
        ref = BRANCH_PREFIX + branch
        parent = self.history.refs.get(ref) or self.history.refs.get(BRANCH_PREFIX + "main")
        pushed = self._pushed(ref, self.history.commit(parent, fault))
        if held:
            self.held.append(pushed)
        else:
            self._deliver(pushed)

    def force_push(self, branch: str, steps: int, *, rewrites: bool) -> None:
        """Push an earlier commit of a branch to it, or a new one in place of the newest ones."""
        ref = BRANCH_PREFIX + branch
        head = self.history.refs.get(ref)
        if head is not None and (earlier := self.history.back(head, steps)) != head:
            self._force(ref, self.history.commit(earlier) if rewrites else earlier)

    def tag(self, tag: str, branch: str, steps: int) -> None:
        """Push a tag, or move one, to a commit of a branch."""
        ref, head = TAG_PREFIX + tag, self.history.refs.get(BRANCH_PREFIX + branch)
        if head is not None and (commit := self.history.back(head, steps)) != self.history.refs.get(ref):
            self._force(ref, commit)

    def deliver_late(self, which: int) -> None:
        """Deliver a push that was held back."""
        self._deliver(self.held.pop(which % len(self.held)))

    def deliver_again(self, which: int) -> None:
        """Deliver one of the newest deliveries once more: it requests nothing."""
        pushed = self.delivered[-1 - which % len(self.delivered)]
        assert self._accept(pushed).verdict == "duplicate"

    def replay(self, which: int) -> None:
        """Deliver the body of one of the newest deliveries under another id: what is pushed once more has a
        body of its own here.
        """
        self.replays += 1
        pushed = self.delivered[-1 - which % len(self.delivered)]
        assert self._accept(pushed, f"replay {self.replays}").repeats is not None

    def _force(self, ref: str, commit: str) -> None:
        """Push a ref to a commit that does not descend from where it was; git knows nothing of its order."""
        for pushed in [each for each in self.held if each.ref == ref]:
            self.held.remove(pushed)
            self._deliver(pushed)
        self._deliver(self._pushed(ref, commit))

    def _pushed(self, ref: str, commit: str) -> Pushed:
        self.pushes += 1
        pushed = Pushed(self.pushes, ref, self.history.refs.get(ref), commit)
        self.history.refs[ref] = commit
        return pushed

    def _deliver(self, pushed: Pushed) -> None:
        receipt = self._accept(pushed)
        self.delivered.append(pushed)
        self.record.follow(self.store)
        assert receipt.verdict == "accepted"
        self.order.accept_push(pushed, [self.record.deployments[each.id] for each in receipt.deployments])

    def _accept(self, pushed: Pushed, identity: str | None = None) -> Receipt:
        push = Push("push", "acme/site", (URL,), pushed.ref, pushed.before, pushed.after, "ada")
        delivery = self._delivery(push, identity or str(pushed.number), f"{pushed}".encode())
        (receipt,) = self.loop.run_until_complete(self.store.accept([delivery]))
        assert isinstance(receipt, Receipt), receipt
        return receipt

    def _delivery(self, push: Push, identity: str, body: bytes) -> Delivery:
        requests = requests_of(push, route(push, self.config))
        facts = push.repository, push.ref, push.after, push.before
        known = DeliveryId(identity, signed=False)
        return Delivery("github", push.event, known, True, body, utc_now(), (), requests, *facts)

    # People

    def deploy(self, environment: str, branch: str, steps: int, *, overrides: bool) -> None:
        """Request a deployment by hand; one that does not override a hold is refused."""
        head = self.history.refs.get(BRANCH_PREFIX + branch)
        if head is None:
            return
        commit = self.history.back(head, steps)
        request = Request("site", environment, "deploy", "manual", "ada", commit_sha=commit)
        if overrides or not self.store.holds("site", environment):
            self._request(request._replace(overrides_hold=overrides))
            return
        with pytest.raises(HeldError):
            request_deployment(self.store, request)

    def hold(self, environment: str | None) -> None:
        """Hold an environment, or all of them."""
        hold(self.store, "site", environment, reason="an incident", held_by="ada", ends=None)
        self._follow_holds()

    def resume(self, environment: str | None) -> None:
        """Resume an environment, or all of them."""
        self.store.resume("site", environment, "ada")
        self._follow_holds()

    def _follow_holds(self) -> None:
        self.record.follow(self.store)
        self.record.held = {each for each in self.servers if self.store.holds("site", each)}

    def roll_back(self, place: int, which: int) -> None:
        """Request a rollback to a release that was healthy and still exists."""
        environment = sorted(self.record.healthy)[place % len(self.record.healthy)]
        healthy = self.store.healthy_releases("site", environment)
        there = [each for each in healthy if self.servers[environment].release(each.release)]
        if there:
            to = there[which % len(there)]
            request = Request("site", environment, "rollback", "manual", "ada", commit_sha=to.commit_sha)
            self._request(request._replace(release=to.release))

    def run_job(self, environment: str) -> None:
        """Request a run of a job; what becomes of it, no later request decides."""
        request_deployment(self.store, Request("site", environment, "run", "manual", "ada"))
        self.record.follow(self.store)

    def _request(self, request: Request) -> None:
        requested, _ = request_deployment(self.store, request)
        self.record.follow(self.store)
        self.order.accept(self.record.deployments[requested])

    def cancel(self, which: int) -> None:
        """Request a cancellation."""
        found = list(self.record.open)[-1 - which % len(self.record.open)]
        self.store.request_cancel(found, "ada")

    # The worker and its processes

    @property
    def has_work(self) -> bool:
        """Whether a slot is free, and something waits or runs in no process."""
        return len(self.processes) < min(SLOTS, len(self.record.open))

    def work(self, pauses: int) -> bool:
        """Start the most urgent work in a process, and return whether there was any."""
        process = SimulatedProcess(self.started, self.store)
        self.started += 1
        lease = self._expired_lease(process)
        recovers = lease is not None
        lease = lease or self._claimed(process)
        if lease is None:
            return False
        self.host.machine.alive.add(process.identity)
        self.processes.append(process)
        process.start(lease, partial(self._execute, process, lease, recovers))
        self._run(process, pauses)
        return True

    def _claimed(self, process: SimulatedProcess) -> Lease | None:
        if (lease := self.store.leased(process.identity)) is not None:
            found = self.store.deployment(lease.deployment_id)
            is_held = found.obeys_holds and self.store.holds("site", found.environment)
            assert not is_held, "I6: nothing begins that is held"
        return lease

    def _expired_lease(self, process: SimulatedProcess) -> Lease | None:
        for held in self.store.expired():
            if lease := self.store.take_over(held, process.identity):
                self._end_leftovers(held)
                return lease
        return None

    def _end_leftovers(self, held: HeldLease) -> None:
        """End the process that a lease names; one that is about to write is left to the fencing token."""
        for process in self.processes:
            if process.identity == held.holder and not process.writing:
                process.kill()
        self._forget_ended()

    def _execute(self, process: SimulatedProcess, lease: Lease, recovers: bool) -> None:
        """Do what a deployment process does."""
        store = process.store
        deployment = store.deployment(lease.deployment_id)
        if recovers and recover_unactivated(store, lease, deployment):
            return
        steps = len(store.steps(deployment.id)) if recovers else 0
        recorder = Recorder(store, lease, deployment, Redactor(frozenset()), steps)
        execution = Execution(
            self._context(deployment.environment, process), store, recorder, process.cancellation
        )
        try:
            (recover if recovers else execute)(execution)
        except FencedError:
            pass
        except InterruptedRunError:
            recover_unactivated(store, lease, recorder.deployment)

    def _context(self, environment: str, process: SimulatedProcess) -> DeploymentContext:
        server = self.servers[environment]
        found = self.config.environment("site", environment).settings
        check = HealthCheck(command=["true"], retries=2, interval=0)
        return DeploymentContext(
            "site",
            environment,
            found.model_copy(update={"health_check": check, "stable_for": 0}),
            SimulatedDeployer(server, process.pause),
            self.mirror,
            SimulatedWorkspace(server, process.pause),
            self.config.path,
            self.config.state_dir,
            self.config.state_dir / "work",
        )

    def run(self, which: int, pauses: int) -> None:
        """Let a process go on."""
        self._run(self._process(which), pauses)

    def _run(self, process: SimulatedProcess, pauses: int) -> None:
        process.run(pauses)
        self._forget_ended()

    def _process(self, which: int) -> SimulatedProcess:
        return self.processes[which % len(self.processes)]

    def _forget_ended(self) -> None:
        for process in [each for each in self.processes if each.ended]:
            self.processes.remove(process)
            self.host.machine.alive.discard(process.identity)

    # Faults

    def kill(self, which: int) -> None:
        """Kill a process."""
        self._process(which).kill()
        self._forget_ended()

    def interrupt(self, which: int) -> None:
        """Let a process know that its worker is gone."""
        self._process(which).cancellation.cancel(InterruptedRunError("the worker is gone"))

    def stall(self, which: int, seconds: float) -> None:
        """Let time pass, in which one process does not get to renew its lease."""
        self.store.age_leases(seconds)
        stalled = self._process(which)
        for process in self.processes:
            if process is not stalled:
                process.renew()

    def reboot(self) -> None:
        """Start the machine again."""
        self._kill_all()
        self.store.close()
        self.host = SimulatedHost(boot_id=f"{self.host.boot_id}1")
        self.store = self.stores.reopen(self.host)

    def _kill_all(self) -> None:
        for process in self.processes:
            process.kill()
        self._forget_ended()

    # What must hold

    def rest(self) -> None:
        """Deliver what was held back, let everything end, and check what must hold then."""
        self.resume(None)
        while self.held:
            self.deliver_late(0)
        while self.processes or self.work(MANY):
            for process in list(self.processes):
                self._run(process, MANY)
        self.check()
        assert not self.record.open, "I5: nothing is stuck"
        self.order.check(self.record, self.store)
        self.record.check_all(self.store)

    def check(self) -> None:
        """Check what must hold at any time."""
        self.record.follow(self.store)
        self.record.check(self.store)
        for server in self.servers.values():
            self._check_server(server)

    def _check_server(self, server: Server) -> None:
        """I4: what `app_path` points to is a complete release; at rest it is the one that the store names."""
        if server.active is None:
            return
        assert server.release(server.active) is not None, "I4: app_path points to a complete release"
        serving = self.store.serving("site", server.environment)
        if serving is not None and not self.record.is_deploying(server.environment):
            assert serving.release == server.active == server.running, "I4: it is the one that serves"
            assert self.history.faults.get(serving.commit_sha) not in {"restart", "verify"}, (
                "I4: it is healthy"
            )

    def close(self) -> None:
        """End everything, after a last rest."""
        try:
            self.rest()
        finally:
            self._kill_all()
            self.store.close()
            self.loop.close()

"""What the events of a store say, followed one by one, and the invariants that each of them must keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fraisier_core.store.events import DeploymentEvent
from fraisier_core.store.protocol import Reader, Store
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import ENDED, KINDS, Ending, Status

Place = tuple[str, str | None]
"""An environment and a lane."""
SKIPPING = {"staging", "clone"}
"""The environments where a run is skipped while another is under way."""
RUNNING_ON = "staging"
"""Where a run follows each deployment."""


@dataclass(slots=True)
class Followed:
    """A deployment as its events tell it.

    Args:
        request: it as it was requested.
        order: how many were requested before.
        status: the status that its events amount to.
        steps: how many steps it has started.
        activated: whether its activation has started.
        number: the number of its last event.
        skipped_for: the run that it must be skipped for, if it is one.
    """

    request: Deployment
    order: int
    status: Status = "pending"
    steps: int = 0
    activated: bool = False
    number: int = 0
    superseded_by: str | None = None
    skipped_for: str | None = None

    @property
    def place(self) -> Place:
        return self.request.environment, self.request.lane


@dataclass(slots=True)
class Record:
    """Everything that was ever recorded.

    Args:
        deployments: by id, in the order of their requests.
        open: the ids of those that have not ended.
        events: all of them.
        running: what runs, by where it runs.
        healthy: the environments that have a release to roll back to.
        deliveries: which delivery requested a deployment of which environment.
        held: the environments that are held, which runs pass.
    """

    deployments: dict[str, Followed] = field(default_factory=dict)
    open: dict[str, None] = field(default_factory=dict)
    events: list[DeploymentEvent] = field(default_factory=list)
    running: dict[Place, str] = field(default_factory=dict)
    healthy: set[str] = field(default_factory=set)
    deliveries: set[tuple[str, str]] = field(default_factory=set)
    held: set[str] = field(default_factory=set)

    def follow(self, store: Reader) -> None:
        """Take in what was recorded since the last time."""
        after = self.events[-1].sequence if self.events else 0
        for event in store.events(after):
            assert event.sequence > after
            self.events.append(event)
            self._take(event, store)

    def _take(self, event: DeploymentEvent, store: Reader) -> None:
        if event.event == "requested":
            self._request(store.deployment(event.deployment_id))
        found = self.deployments[event.deployment_id]
        assert found.status not in ENDED, "I6: it had ended"
        assert event.number == found.number + 1, "I6: events are numbered one by one"
        found.number = event.number
        assert found.activated or event.step != "restart", (
            "nothing is changed before the activation is recorded"
        )
        if (change := _CHANGES.get(event.event)) is not None:
            change(self, found)
        elif event.event in ENDED:
            found.superseded_by = event.superseded_by
            self._end(found, event.event)

    def _request(self, deployment: Deployment) -> None:
        """I2: a delivery requests one deployment of an environment."""
        self.deployments[deployment.id] = Followed(deployment, len(self.deployments))
        self.open[deployment.id] = None
        if deployment.webhook_event_id is not None:
            delivery = (deployment.webhook_event_id, deployment.environment)
            assert delivery not in self.deliveries, "I2: a delivery deploys an environment once"
            self.deliveries.add(delivery)
        if deployment.kind == "run" and deployment.environment in SKIPPING:
            others = [
                each for each in map(self.deployments.__getitem__, self.open) if _is_beside(each, deployment)
            ]
            self.deployments[deployment.id].skipped_for = others[0].request.id if others else None

    def is_deploying(self, environment: str) -> bool:
        """Return whether something runs there that may change what the environment serves."""
        found = self.running.get((environment, "release"))
        return found is not None and KINDS[self.deployments[found].request.kind].activates

    def _claimed(self, found: Followed) -> None:
        assert found.skipped_for is None, "a run does not overlap another"
        assert found.status == "pending"
        assert found.steps == 0, "nothing is executed twice"
        assert found.place not in self.running, "I3: one runs in an environment"
        assert not any(self._is_ahead(each, found) for each in self.open), "runs keep their order"
        self.running[found.place] = found.request.id
        found.status = "running"

    def _is_ahead(self, deployment_id: str, own: Followed) -> bool:
        """Whether one that waits, and is not held, comes before another that supersedes nothing."""
        found = self.deployments[deployment_id]
        if found.request.obeys_holds and found.request.environment in self.held:
            return False
        urgent, asked = (KINDS[each.request.kind].priority for each in (found, own))
        waits = (found.status, found.place) == ("pending", own.place)
        is_first = urgent > asked or (urgent == asked and found.order < own.order)
        return waits and is_first and not KINDS[own.request.kind].supersedes

    def _started_step(self, found: Followed) -> None:
        found.steps += 1

    def _activation_started(self, found: Followed) -> None:
        if found.request.repeats is not None:
            genuine = [each.request for each in self.deployments.values() if each.request.repeats is None]
            known = {(each.environment, each.ref, each.commit_sha) for each in genuine}
            repeated = found.request.environment, found.request.ref, found.request.commit_sha
            assert repeated in known, "a replay deploys nothing new"
        found.activated = True

    def _requeued(self, found: Followed) -> None:
        assert found.steps == 0, "what has started a step does not wait again"
        del self.running[found.place]
        found.status = "pending"

    def _cancel_requested(self, found: Followed) -> None:
        if found.status == "pending":
            self._end(found, "cancelled")

    def _end(self, found: Followed, status: Ending) -> None:
        if self.running.get(found.place) == found.request.id:
            del self.running[found.place]
        if found.request.kind == "run":
            assert (status == "skipped") == (found.skipped_for is not None), "a run overlaps none"
        if status == "success":
            self.healthy.add(found.request.environment)
        del self.open[found.request.id]
        found.status = status

    # What must hold between two events

    def check(self, store: Store) -> None:
        """I5: what runs has a lease, and nothing else has; what waits can be claimed, or waits for that."""
        held = {each.lease.deployment_id for each in store.leases()}
        assert held == set(self.running.values()), "I5: what runs, and nothing else, has a lease"

    def check_all(self, store: Store) -> None:
        """I6: the events are those that were seen, and folding them again changes nothing."""
        assert store.events(0, len(self.events) + 1) == self.events, "I6: events are append-only"
        before = _folded(store, self.deployments)
        store.rebuild()
        assert _folded(store, self.deployments) == before, "I6: the fold rebuilt is equal"
        self._check_follow_ups()
        statuses = {each.id: each.status for each in store.deployments(limit=len(self.deployments) + 1)}
        assert statuses == {name: each.status for name, each in self.deployments.items()}

    def _check_follow_ups(self) -> None:
        """Each deployment that succeeds is followed by one run where it is to be, and nothing else is."""
        following = [each.request.requested_for for each in self.deployments.values()]
        for name, each in self.deployments.items():
            wanted = (each.status, each.request.kind, each.request.environment) == (
                "success",
                "deploy",
                RUNNING_ON,
            )
            assert following.count(name) == wanted, "a deployment is followed by one run"


_CHANGES: dict[str, Callable[[Record, Followed], None]] = {
    "claimed": Record._claimed,
    "step_started": Record._started_step,
    "activation_started": Record._activation_started,
    "requeued": Record._requeued,
    "cancel_requested": Record._cancel_requested,
}


def _is_beside(one: Followed, run: Deployment) -> bool:
    where = run.kind, run.environment
    return one.request.id != run.id and (one.request.kind, one.request.environment) == where


def _folded(store: Reader, known: dict[str, Followed]) -> list[object]:
    places = {(each.request.fraise_id, each.request.environment) for each in known.values()}
    return [
        store.deployments(limit=len(known) + 1),
        [store.steps(each) for each in known],
        store.status(),
        [(store.serving(*place), store.healthy_releases(*place)) for place in sorted(places)],
    ]

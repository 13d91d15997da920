"""The write side of deployments: requests, claims, and the events that are the only way to change one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from fraisier_core.errors import FencedError, UnknownNameError
from fraisier_core.store.database import Database, Row, statements
from fraisier_core.store.history import History
from fraisier_core.store.leases import LOCAL, HeldLease, Lease, Leases
from fraisier_core.store.requests import Kind, Request, request_row
from fraisier_core.system.clock import utc_now
from fraisier_core.system.processes import ProcessIdentity

ENDED = frozenset(
    {"superseded", "success", "failed", "rolled_back", "cancelled", "interrupted", "skipped", "requeued"}
)


@dataclass(frozen=True, slots=True)
class ConfiguredEnvironment:
    """An environment as the store knows it: what is configured, without secrets.

    Args:
        fraise: the fraise's name.
        type: its fraise type.
        description: what it is.
        repository: where it comes from, without credentials.
        environment: the environment's name.
        name: what people call it.
        branch: the branch that is deployed by hand.
    """

    fraise: str
    type: str
    description: str | None
    repository: str | None
    environment: str
    name: str | None
    branch: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a deployment; a column that does not belong to the event stays None."""

    event: str
    requested_by: str | None = None
    commit_sha: str | None = None
    superseded_by: str | None = None
    release: str | None = None
    previous_release: str | None = None
    previous_commit_sha: str | None = None
    step: str | None = None
    step_number: int | None = None
    step_status: str | None = None
    duration: float | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as its events left it: what the engine needs to know of it."""

    id: str
    fraise: str
    environment: str
    kind: Kind
    status: str
    trigger: str
    branch: str | None
    commit_sha: str | None
    before_sha: str | None
    requested_at: str
    started_at: str | None
    requested_by: str | None
    webhook_event_id: str | None
    release: str | None
    previous_release: str | None
    attempt: int
    activation_started: bool
    rollback_started: bool
    cancel_requested: bool
    error_message: str | None


@dataclass(frozen=True, slots=True)
class PushedCommit:
    """A commit of the same environment that a push asked for."""

    deployment_id: str
    commit_sha: str
    before_sha: str | None
    status: str
    branch: str | None
    requested_by: str | None


@dataclass(frozen=True, slots=True)
class StartedStep:
    """A step of a deployment; `running` until it finishes."""

    attempt: int
    number: int
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class HealthyRelease:
    """A release whose deployment succeeded.

    `rolled_back_from` says that a person went back from it later.
    """

    release: str
    commit_sha: str
    rolled_back_from: bool = False


class Deployments:
    """The write side of deployments."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = statements("deployments")
        self.leases = Leases(database)

    def configure(self, environments: Iterable[ConfiguredEnvironment]) -> None:
        """Tell the store what is configured, so that it refuses requests for anything else."""
        rows = [asdict(each) | {"id": each.fraise, "fraise_id": each.fraise} for each in environments]
        with self._database.transaction():
            self._database.execute(self._sql["forget_fraises"])
            self._database.execute(self._sql["forget_environments"])
            self._database.execute_many(self._sql["configure_fraise"], rows)
            self._database.execute_many(self._sql["configure_environment"], rows)

    def request(self, request: Request) -> str:
        """Ask for a deployment and return its id; one that waits for the same environment is superseded."""
        with self._database.transaction():
            return self._request(request)

    def request_and_claim(self, request: Request, holder: ProcessIdentity) -> tuple[str, Lease | None]:
        """Ask for a deployment and claim it in one transaction; no lease where the environment is busy."""
        with self._database.transaction():
            deployment_id = self._request(request)
            return deployment_id, self._claim(holder, deployment_id)

    def _request(self, request: Request) -> str:
        row = request_row(request, utc_now())
        self._database.execute(self._sql["request"], row)
        return str(row["deployment_id"])

    def request_cancel(self, deployment_id: str, requested_by: str) -> Deployment:
        """Ask for a deployment to be cancelled, and return it as it is then.

        One that waits is cancelled at once; one that ended is left as it is. Raises `UnknownNameError`.
        """
        with self._database.transaction():
            if self.get(deployment_id).status in {"pending", "running"}:
                event = Event(
                    "cancel_requested", requested_by=requested_by, message=f"cancelled by {requested_by}"
                )
                self._insert(Lease(0, deployment_id, LOCAL, 0), event)
        return self.get(deployment_id)

    def claim_next(self, holder: ProcessIdentity) -> Lease | None:
        """Claim the next deployment that can run now, a rollback first, or None."""
        if self._claimable() is None:  # asked without the write lock, which others need more
            return None
        with self._database.transaction():
            return self._claim(holder)

    def claim(self, deployment_id: str, holder: ProcessIdentity) -> Lease | None:
        """Claim this deployment, or return None while its environment is busy or it does not wait."""
        with self._database.transaction():
            return self._claim(holder, deployment_id)

    def _claim(self, holder: ProcessIdentity, deployment_id: str | None = None) -> Lease | None:
        row = self._claimable(deployment_id)
        if row is None:
            return None
        lease = self.leases.take(row["id"], row["attempt"] + 1, holder)
        self._insert(lease, Event("claimed"))
        return lease

    def _claimable(self, deployment_id: str | None = None) -> Row | None:
        return self._database.one(self._sql["claimable"], {"id": deployment_id})

    def prepare(self) -> None:
        """Prepare the statements that a run begins with, and change nothing: nobody holds the lease used."""
        nobody = Lease(0, "", LOCAL, 0)
        with suppress(UnknownNameError):
            self.get(nobody.deployment_id)
        self.last_step_number(nobody)
        with suppress(FencedError):
            self.append(nobody, Event("step_started"))

    def append(self, lease: Lease, *events: Event) -> None:
        """Append events in one transaction; the last one may end the deployment and so drop the lease.

        Raises `FencedError` where the lease was taken over.
        """
        with self._database.transaction():
            self._append(lease, events)

    def _append(self, lease: Lease, events: Sequence[Event]) -> None:
        for event in events:
            self._insert(lease, event)
        if events[-1].event in ENDED:
            self.leases.drop(lease)

    def _insert(self, lease: Lease, event: Event) -> None:
        row = asdict(event) | {
            "deployment_id": lease.deployment_id,
            "at": utc_now(),
            "token": lease.token or None,
            "host": lease.host,
            "attempt": lease.attempt,
        }
        self._database.execute(self._sql["append"], row)

    def supersede(self, lease: Lease, newer: PushedCommit, message: str) -> str:
        """End a stale deployment in favour of a newer commit, and return the id of that one's deployment.

        In the same transaction the newer commit is requested again, where its own deployment was superseded
        before it could run.
        """
        with self._database.transaction():
            deployment = self.get(lease.deployment_id)
            by = newer.deployment_id
            if newer.status == "superseded":
                by = self._request_again(deployment, newer)
            self._append(lease, [Event("superseded", superseded_by=by, message=message)])
        return by

    def _request_again(self, stale: Deployment, newer: PushedCommit) -> str:
        request = Request(
            stale.fraise,
            stale.environment,
            "deploy",
            "webhook",
            newer.requested_by,
            newer.branch,
            newer.commit_sha,
        )
        return self._request(request)

    def requeue(self, lease: Lease) -> None:
        """Let a run that had not started a step wait again, or end it where a newer one waits already."""
        with self._database.transaction():
            deployment = self.get(lease.deployment_id)
            waiting = self._database.one(
                self._sql["pending_of_environment"],
                {
                    "fraise_id": deployment.fraise,
                    "environment": deployment.environment,
                    "kind": deployment.kind,
                },
            )
            event = Event("superseded", superseded_by=waiting["id"]) if waiting else Event("requeued")
            self._append(lease, [event])

    def take_over(self, held: HeldLease, holder: ProcessIdentity) -> Lease | None:
        """Take a void lease over for recovery and return the new one; None where somebody else did."""
        with self._database.transaction():
            if self._database.execute(self._sql["drop_lease"], {"token": held.lease.token}).rowcount == 0:
                return None
            return self.leases.take(held.lease.deployment_id, held.lease.attempt, holder)

    def write_log(self, lease: Lease, step_number: int, text: str, dropped: int, limit: int) -> None:
        """Keep some output of a step, and drop the oldest beyond `limit` characters; how much stays known."""
        row = {
            "deployment_id": lease.deployment_id,
            "host": lease.host,
            "attempt": lease.attempt,
            "step_number": step_number,
            "at": utc_now(),
            "text": text,
            "dropped": dropped,
        }
        with self._database.transaction():
            row["newest"] = self._database.execute(self._sql["append_log"], row).lastrowid
            cut = self._database.one(self._sql["log_cut"], row | {"limit": limit})
            if cut is not None and cut["sequence"] is not None:
                self._database.execute(self._sql["carry_dropped"], row | {"cut": cut["sequence"]})
                self._database.execute(self._sql["trim_log"], row | {"cut": cut["sequence"]})

    def get(self, deployment_id: str) -> Deployment:
        """Return a deployment. Raises `UnknownNameError`."""
        row = self._database.one(self._sql["deployment"], {"id": deployment_id})
        if row is None:
            raise UnknownNameError(f"there is no deployment {deployment_id}")
        return _deployment(row)

    def cancellation(self, lease: Lease) -> str | None:
        """Return who asked for the deployment to be cancelled, in words, or None."""
        row = self._database.one(self._sql["cancellation"], {"id": lease.deployment_id})
        return str(row["message"]) if row else None

    def previously_active(self, deployment_id: str) -> str | None:
        """Return the name of the release that `app_path` led to before this deployment, if any."""
        row = self._database.one(self._sql["previously_active"], {"id": deployment_id})
        return row["previous_release"] if row else None

    def started_steps(self, deployment_id: str) -> list[StartedStep]:
        """Return its steps in the order they were started."""
        rows = self._database.all(self._sql["started_steps"], {"id": deployment_id})
        return [StartedStep(row["attempt"], row["number"], row["name"], row["status"]) for row in rows]

    def last_step_number(self, lease: Lease) -> int:
        """Return the number of the last step of this attempt, 0 where none has started."""
        steps = self.started_steps(lease.deployment_id)
        return max((step.number for step in steps if step.attempt == lease.attempt), default=0)

    def pushed_commits(self, deployment: Deployment) -> list[PushedCommit]:
        """Return what else pushes to the same branch or tag asked for there, newest request first."""
        row = {
            "id": deployment.id,
            "fraise_id": deployment.fraise,
            "environment": deployment.environment,
            "branch": deployment.branch,
        }
        return [
            PushedCommit(each["id"], each["commit_sha"], each["before_sha"], each["status"], each["branch"],
                         each["requested_by"])
            for each in self._database.all(self._sql["pushed_commits"], row)
        ]  # fmt: skip

    def serving(self, fraise: str, environment: str) -> HealthyRelease | None:
        """Return the release that serves, or None where none does or it cannot be told."""
        row = self._database.one(
            self._sql["serving"], {"fraise_id": fraise, "environment": environment, "host": LOCAL}
        )
        if row is None or row["release"] is None:
            return None
        return HealthyRelease(row["release"], row["commit_sha"])

    def running(self, fraise: str, environment: str) -> str | None:
        """Return the id of the deployment that runs there now, if one does."""
        return History(self._database).running(fraise, environment)

    def healthy_releases(self, fraise: str, environment: str) -> list[HealthyRelease]:
        """Return the releases that were healthy, newest first."""
        rows = self._database.all(
            self._sql["healthy_releases"], {"fraise_id": fraise, "environment": environment}
        )
        return [
            HealthyRelease(row["release"], row["commit_sha"], bool(row["rolled_back_from"])) for row in rows
        ]

    def rebuild(self) -> None:
        """Fold every event anew into the tables that are derived from them."""
        sql = statements("rebuild")
        with self._database.transaction():
            for name in ("empty_steps", "empty_attempts", "empty_serving", "empty_deployments", "fold"):
                self._database.execute(sql[name])


def _deployment(row: Row) -> Deployment:
    return Deployment(
        id=row["id"],
        fraise=row["fraise_id"],
        environment=row["environment"],
        kind=row["kind"],
        status=row["status"],
        trigger=row["trigger"],
        branch=row["branch"],
        commit_sha=row["commit_sha"],
        before_sha=row["before_sha"],
        requested_at=row["requested_at"],
        started_at=row["started_at"],
        requested_by=row["requested_by"],
        webhook_event_id=row["webhook_event_id"],
        release=row["release"],
        previous_release=row["previous_release"],
        attempt=row["attempt"],
        activation_started=bool(row["activation_started"]),
        rollback_started=bool(row["rollback_started"]),
        cancel_requested=bool(row["cancel_requested"]),
        error_message=row["error_message"],
    )

"""The store as everything above it sees it: `Reader` reads, `Store` writes too.

Connections, transactions, SQL and the driver's exceptions stay inside; every method may raise `StoreError`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from fraisier_core.store.holds import Hold, Window
from fraisier_core.store.received import Delivery, DeliveryDetails, Receipts, ReceivedDelivery
from fraisier_core.store.records import (
    BranchHead,
    Change,
    Claimed,
    ConfiguredEnvironment,
    Deployment,
    DeploymentEvent,
    EnvironmentStatus,
    Event,
    Forgotten,
    HealthyRelease,
    HeldLease,
    Lease,
    LogChunk,
    Observed,
    ObserverProblem,
    PushedCommit,
    Request,
    Step,
    Untold,
)
from fraisier_core.store.tables import Closed, Contents, WritableContents
from fraisier_core.store.tokens import AuditEvent, Token
from fraisier_core.store.vocabulary import RecordedVerdict

if TYPE_CHECKING:
    from fraisier_core.system.processes import ProcessIdentity  # which reading does without


class Commits(Protocol):
    """What others commit, as a follower hears of it."""

    def wait(self, seconds: float) -> None:
        """Return once something may have been committed since the last call, after so many seconds at the
        latest. Raises `StoreError`.
        """

    def wake(self) -> None:
        """Have the `wait` of another thread return, or the next one."""

    def close(self) -> None:
        """Hear no more."""


class DeploymentReader(Protocol):
    """What can be read from afar too: deployments, and the status of environments."""

    def close(self) -> None:
        """Close the connection."""

    def status(self, fraise_id: str | None = None, environment: str | None = None) -> list[EnvironmentStatus]:
        """Return the status of every environment, of a fraise's, or of one."""

    def deployments(
        self, fraise_id: str | None = None, environment: str | None = None, limit: int = 20
    ) -> list[Deployment]:
        """Return the newest deployments first, at most `limit`."""

    def newest_runs(self, fraise_id: str | None = None, environment: str | None = None) -> list[Deployment]:
        """Return the newest run that began, the newest that waits and the newest that a timer requested, of
        every environment, of a fraise's or of one; newest first. Of backups and restore tests also the newest
        that succeeded.
        """

    def pushes_ahead(self, fraise_id: str | None = None, environment: str | None = None) -> list[Deployment]:
        """Return the newest push of every environment in which another commit serves that was not deployed
        since, or of a fraise's or of one. What was superseded or skipped counts as little as what a user
        requested.
        """

    def find(self, id_part: str) -> str:
        """Return the id that starts or ends with `id_part` or, if none does, holds it. Raises
        `UnknownNameError` unless there is one.
        """

    def deployment(self, deployment_id: str) -> Deployment:
        """Return one deployment. Raises `UnknownNameError`."""

    def steps(self, deployment_id: str) -> list[Step]:
        """Return its steps in the order they started."""

    def untold(self, deployment_id: str) -> list[Untold]:
        """Return what observers could not do about it, of each observer the last."""

    def log(self, deployment_id: str, after: int = 0) -> list[LogChunk]:
        """Return the output kept of its steps, in order; only what came after chunk `after`."""

    def events(
        self, after: int = 0, limit: int = 1000, deployment_id: str | None = None
    ) -> list[DeploymentEvent]:
        """Return recorded events in order, those after event `after`, of all deployments or of one."""

    def awaited(self, deployment: Deployment) -> str | None:
        """Return the id of the deployment that one which is pending waits for: what runs in its lane, or what
        comes first there before it; None if it is its turn.
        """

    def holds(self, fraise_id: str | None = None, environment: str | None = None) -> list[Hold]:
        """Return why each environment is held that is: of all, of a fraise's, or of one."""

    def last_of_refs(self, fraise_id: str, environment: str) -> dict[str, Deployment]:
        """Return what was requested last of each branch and tag in an environment, by the full ref; what was
        superseded or skipped only if nothing else was requested of it. Neither rollbacks count nor what may
        be a replay.
        """

    def last_of_commits(
        self, fraise_id: str, environment: str, commits: Collection[str]
    ) -> dict[str, Deployment]:
        """Return the newest deployment of each of some commits in an environment, those left out that were
        never requested there. Neither rollbacks count nor what may be a replay.
        """

    def branch_heads(self, fraise_id: str, environment: str) -> list[BranchHead]:
        """Return the branches that an environment follows, as its repository had them when asked last."""

    def live_workers(self) -> int:
        """Return how many workers said lately that they live."""


class Reader(DeploymentReader, Protocol):
    """What happened and which release is serving."""

    def changes(self, after: int = 0, limit: int = 1000) -> list[Change]:
        """Return the changes of status after a position, in order; none appears later behind the last one."""

    def position(self) -> int:
        """Return the last position; whatever changes later has a higher one."""

    def requested_for(self, deployment_id: str) -> list[Deployment]:
        """Return what a deployment requested: the backup before it, the run after it; oldest first."""

    def output_after(self, deployment_id: str, after: int, limit: int = 1000) -> list[int]:
        """Return the sequences of the chunks of a deployment's output that came after chunk `after`."""

    def commits(self) -> Commits:
        """Begin to hear of what others commit, on a connection of its own."""

    def observer_problems(self) -> list[ObserverProblem]:
        """Return the last problem of each observer that ever had one."""

    def history(self, deployment: Deployment, limit: int) -> list[Deployment]:
        """Return the newest deployments of the same kind in the same environment, this one included, newest
        first; those left out that any number of replays add.
        """

    def previous(self, deployment: Deployment) -> Deployment | None:
        """Return the last deployment of the same kind in the same environment before this one that succeeded
        or failed.
        """

    def running(self, fraise_id: str, environment: str, lane: str | None) -> str | None:
        """Return the id of the deployment that runs in a lane of an environment, if there is one; in the lane
        None nothing waits for another.
        """

    def serving(self, fraise_id: str, environment: str) -> HealthyRelease | None:
        """Return the serving release, None if there is none or it is unknown."""

    def healthy_releases(self, fraise_id: str, environment: str) -> list[HealthyRelease]:
        """Return the releases that were healthy, newest first."""

    def deliveries(self, limit: int = 20, verdict: RecordedVerdict | None = None) -> list[ReceivedDelivery]:
        """Return the newest deliveries, recorded and refused, of any verdict or of one; newest first."""

    def find_delivery(self, id_part: str) -> str:
        """Return the id of a recorded or refused delivery, as `find` does. Raises `UnknownNameError`."""

    def delivery(self, delivery_id: str) -> DeliveryDetails:
        """Return one delivery. Raises `UnknownNameError`."""

    def details(self, deliveries: Sequence[ReceivedDelivery]) -> list[DeliveryDetails]:
        """Return what else is recorded of deliveries, in their order."""

    def newer_than(self, delivery_id: str, request: Request) -> str | None:
        """Return the id of the newest delivery or deployment of another commit of the ref of a request that
        replays a delivery, if it is newer than that, or than the first of the same. Of deployments, those in
        the environment of the request count.
        """

    def tokens(self) -> list[Token]:
        """Return every token that was ever made, oldest first."""

    def token(self, prefix: str) -> Token | None:
        """Return the token that begins with this, None if there is none; it may be revoked."""

    def audit_events(self, limit: int) -> list[AuditEvent]:
        """Return what people and clients did and were refused, newest first."""

    def contents(self) -> Contents:
        """Return what it holds, row by row."""

    def answer(self, sql: str, parameters: Mapping[str, Any]) -> str | None:
        """Return the text of the column `answer` of the row that a statement over the views returns, None
        without a row. The views are a public interface: who compiles questions into statements asks here.

        Args:
            sql: the statement, in the SQL of this kind of store, with `:NAME` for each parameter.
            parameters: their values.
        """

    def interrupt(self) -> None:
        """Have what another thread asks fail soon, because it takes too long."""


class WakeUps(Protocol):
    """A worker's end of `Store.wake`."""

    @property
    def poll_seconds(self) -> float:
        """How often to look for what no wake-up told of."""

    def fileno(self) -> int:
        """Return a file descriptor that is readable after a wake-up."""

    def clear(self) -> None:
        """Forget every wake-up so far."""

    def close(self) -> None:
        """Hear no more."""


class Store(Reader, Protocol):
    """Everything that changes the record. Events carry the fencing token of a lease."""

    @property
    def migrated(self) -> tuple[str, ...]:
        """The names of the migrations that opening it applied, in order."""

    def insist(self) -> None:
        """From now on wait for a database that is away, however long, instead of raising `StoreError`: what
        an attempt has done must be recorded.
        """

    def abort(self) -> None:
        """Have what other threads wait for fail at once, if the database may say nothing for long."""

    def maintain(self) -> None:
        """Do what the database needs from time to time; cheap to call often."""

    def check_writable(self) -> None:
        """Prove that something can be written. Raises `StoreError`."""

    def prepare(self) -> None:
        """Do once what an attempt begins with, without effect: a forked process is slow at its first time."""

    def contents(self) -> WritableContents:
        """Return what it holds, row by row."""

    def forget(self, what: str, before: str, rows: int, after: int = 0) -> Forgotten:
        """Delete a few of the oldest rows that are not to be kept any more; no other writer waits for long.

        Args:
            what: `payloads`, the bodies of deliveries, `logs`, the output of deployments, or `refused`.
            before: the time, as the store writes it, that they are older than.
            rows: how many to delete at most; of large ones it is fewer.
            after: the sequence to begin after.
        """

    def put_in_use(self, closed: Closed, *, ran: str, waited: str | None = None) -> int:
        """Open a store to writers that was filled from another, and return how many deployments of that are
        interrupted.

        Args:
            closed: how it is closed. Raises `ConflictError` if it is not.
            ran: the message for what ran there.
            waited: the message for what waited there; None if it waits on.
        """

    def rebuild(self) -> None:
        """Fold every event again into the tables that are derived from them."""

    async def accept(self, deliveries: Sequence[Delivery]) -> Receipts:
        """Store a batch in one durable transaction, and return what became of each, in order. The workers are
        woken.

        One that cannot be stored fails alone. Raises `StoreError` if nothing could be stored.
        """

    async def refuse(self, provider: str, received_at: str, client: str, reason: str) -> None:
        """Record a delivery that was refused, without its body; only the newest thousand are kept."""

    def configure(self, environments: Iterable[ConfiguredEnvironment]) -> None:
        """Tell the store what is configured, so that it refuses requests for anything else."""

    def request_all(self, requests: Sequence[Request]) -> list[str]:
        """Request deployments in one transaction, and return their ids in order; for each, one that waits
        gives way if its kind says so.
        """

    def request_and_claim(self, request: Request, holder: ProcessIdentity) -> tuple[str, Claimed | None]:
        """Request a deployment and claim it in one transaction, unless the environment is busy or a unit
        executes it.
        """

    def request_cancel(self, deployment_id: str, requested_by: str) -> Deployment:
        """Request the cancellation of a deployment, and return it as it is then.

        One that waits is cancelled at once; one that ended is left as it is. Raises `UnknownNameError`.
        """

    def claim(self, holder: ProcessIdentity, deployment_id: str | None = None) -> Claimed | None:
        """Claim a deployment, by default the next that a worker executes; None if none waits or it is not
        its turn: its lane is busy or, where its kind does not supersede, something comes before it there;
        what a unit executes passes what waits for a worker. Raises `StoreError` if a newer version has
        migrated the store: what runs goes on, and nothing else begins.
        """

    def awaiting_units(
        self, fraise_id: str | None = None, environment: str | None = None, limit: int = 100
    ) -> list[Deployment]:
        """Return what units of systemd execute and none has claimed, though it is its turn; oldest first. Of
        every environment, or of one.
        """

    def awaited_backups(self) -> list[Deployment]:
        """Return the backups that deployments wait for, whose turn it is and that a worker executes."""

    def leases(self) -> list[HeldLease]:
        """Return every lease of this host."""

    def expired(self) -> list[HeldLease]:
        """Return the leases of this host whose time has run out, or whose holder is gone."""

    def take_over(self, held: HeldLease, holder: ProcessIdentity) -> Lease | None:
        """Take over an expired lease for recovery and return the new one; None if another process did. Raises
        `StoreError` as `claim` does.
        """

    def renew(self, lease: Lease) -> None:
        """Hold the lease for longer, whatever other threads wait for. Raises `FencedError` if it is lost."""

    def record_command(self, lease: Lease, command: ProcessIdentity) -> None:
        """Record which command runs, so that recovery can end it. Raises `FencedError`."""

    def skip(self, lease: Lease, message: str, request: Request | None = None) -> None:
        """End a deployment that turned out to have nothing to do.

        Args:
            lease: of the deployment.
            message: why.
            request: requested in the same transaction, unless another one waits that would supersede it.
        """

    def append(
        self,
        lease: Lease,
        *events: Event,
        request: Request | None = None,
        follow_up: Request | None = None,
    ) -> None:
        """Append events in one transaction; an ending drops the lease.

        Args:
            lease: of the deployment.
            events: what happened, in order.
            request: requested in the same transaction, unless anything was requested in the same lane of the
                environment since the deployment was, or its cancellation.
            follow_up: requested in the same transaction, whatever else was.

        Raises `FencedError` if the lease was taken over.
        """

    def supersede(self, lease: Lease, newer: str, message: str, request: Request | None = None) -> None:
        """End a stale deployment.

        Args:
            lease: of the deployment.
            newer: the id of the deployment that makes it stale.
            message: why.
            request: requested in the same transaction, unless another one of the kind waits.
        """

    def requeue(self, lease: Lease) -> None:
        """Let an attempt that had not started a step wait again, or end it if a newer one waits already."""

    def write_log(self, lease: Lease, step_number: int, text: str, dropped: int, limit: int) -> None:
        """Keep some output of a step, and drop the oldest beyond `limit` characters. Raises `FencedError`."""

    def cancellation(self, lease: Lease) -> str | None:
        """Return who requested the cancellation, in words, or None."""

    def previously_active(self, deployment_id: str) -> str | None:
        """Return the name of the release that `app_path` pointed to before this deployment, if any."""

    def releases_in_use(self, fraise_id: str, environment: str) -> set[str]:
        """Return the names of the releases that are in use by runs and the like: none may be deleted."""

    def has_succeeded(self, run: Deployment, release: str) -> bool:
        """Whether a run of a release has succeeded, of the same kind and with the same arguments as `run`."""

    def pushed_commits(self, deployment: Deployment) -> list[PushedCommit]:
        """Return what else pushes to the same ref requested there, newest request first; no replays."""

    def may_have_returned(self, deployment: Deployment, commit: str) -> bool:
        """Return whether the ref of this deployment may have left its commit and returned, since that was
        last deployed from there or requested: a delivery said that it had left, or nothing else was requested
        there. What may be a replay does not count. The forge may have named a tag object instead of its
        `commit`, which is what a deployment is recorded with.
        """

    def heartbeat(self, worker: ProcessIdentity) -> None:
        """Say that this worker lives, and forget those that no longer do. Raises `StoreError` as `claim`
        does.
        """

    def forget_worker(self, worker: ProcessIdentity) -> None:
        """Say that this worker ends."""

    def wake(self) -> None:
        """Notify every worker that there is work."""

    def wake_ups(self) -> WakeUps:
        """Return this worker's end of `wake`."""

    def observed(self, observer: str) -> Observed:
        """Return how far an observer has seen the events; all of them if it is new."""

    def observe(self, observer: str, observed: Observed) -> None:
        """Record how far an observer has seen the events."""

    def record_untold(self, event: DeploymentEvent, untold: Untold) -> None:
        """Record what an observer could not do when it was told of an event."""

    def forget_untold(self, event: DeploymentEvent, observer: str) -> None:
        """Forget what an observer could not do before when it was told of an event."""

    def record_heads(self, fraise_id: str, environment: str, heads: Sequence[BranchHead]) -> None:
        """Record the branches that an environment follows, as its repository has them, in place of those that
        were recorded before.
        """

    def record_no_heads(self, fraise_id: str, environment: str, problem: str) -> None:
        """Record that the repository could not be asked, and why, beside what it said last."""

    def keep_heads(self, environments: Collection[tuple[str, str]]) -> None:
        """Forget what repositories said for all but some environments, each a fraise and its environment."""

    def hold(
        self, fraise_id: str, environment: str | None, reason: str, held_by: str, ends_at: str | None = None
    ) -> str:
        """Hold an environment of a fraise, or all of them, and return the id of the hold. Once this returns,
        nothing begins there that obeys holds.
        """

    def resume(self, fraise_id: str, environment: str | None, resumed_by: str) -> list[str]:
        """End what users hold of an environment or, without one, of a fraise and all its environments, and
        return the ids of these holds.
        """

    def freeze(self, windows: Collection[Window], *, decides: bool) -> None:
        """Record the present and next windows of every rule that freezes an environment; those that are over
        are forgotten. Who `decides` says it for all: every other window ends. Without that, only windows of
        rules are recorded of which none is known.
        """

    def create_token(self, token: Token) -> None:
        """Store a new token, and audit it. Raises `ConflictError` if one that is not revoked has its name."""

    def revoke_token(self, token: Token, revoked_by: str) -> bool:
        """Revoke a token for ever; return whether it was not revoked already."""

    def audit(self, event: AuditEvent) -> None:
        """Record that somebody was refused something."""

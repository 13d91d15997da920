"""All of the record, for reading and writing, and how workers are woken."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from fraisier_core.store.events import DeploymentEvent, Forgotten, Observed, Untold
from fraisier_core.store.holds import Window
from fraisier_core.store.protocol.attempts import Attempts
from fraisier_core.store.protocol.record_reader import Reader
from fraisier_core.store.received import Delivery, Receipts
from fraisier_core.store.records import BranchHead, Claimed, ConfiguredEnvironment, Deployment, Request
from fraisier_core.store.tables import Closed, WritableContents
from fraisier_core.store.tokens import AuditEvent, Token

if TYPE_CHECKING:
    from fraisier_core.system.processes import ProcessIdentity  # which reading does without


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


class Store(Reader, Attempts, Protocol):
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

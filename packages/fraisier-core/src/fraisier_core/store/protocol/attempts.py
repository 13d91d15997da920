"""The record of attempts: claims, leases, and what is known of the runs before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fraisier_core.store.events import Event
from fraisier_core.store.records import Claimed, Deployment, HeldLease, Lease, PushedCommit, Request

if TYPE_CHECKING:
    from fraisier_core.system.processes import ProcessIdentity  # which reading does without


class Attempts(Protocol):
    """Claiming deployments, and what an attempt records under its lease and asks of the record."""

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

"""What of the record can be read from afar too."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from fraisier_core.store.events import DeploymentEvent, Untold
from fraisier_core.store.holds import Hold
from fraisier_core.store.records import BranchHead, Deployment, EnvironmentStatus, LogChunk, Step


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

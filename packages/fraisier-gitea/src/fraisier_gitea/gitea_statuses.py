"""Commit statuses of Gitea and Forgejo: https://docs.gitea.com/api/#tag/repository/operation/repoCreateStatus.
Gogs has none, and answers 404.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from fraisier_core import (
    CommitState,
    CommitStatus,
    Deployment,
    DeploymentEvent,
    ObserverContext,
    ProviderObserverSettings,
    StatusApi,
    announce,
    hookimpl,
    quoted,
)


class GiteaStatusesSettings(ProviderObserverSettings):
    """The section `gitea_statuses`, which nobody needs: `api_token` and `api_url` below `git:` are enough."""

    providers: ClassVar[Collection[str]] = ("gitea", "forgejo", "gogs")


class GiteaStatuses(StatusApi):
    """It has no state for what runs."""

    path = "/api/v1"
    url_length = 2048
    states: ClassVar[Mapping[CommitState, str]] = {
        "pending": "pending",
        "running": "pending",
        "success": "success",
        "skipped": "success",
        "failure": "failure",
        "cancelled": "warning",
        "error": "error",
    }

    def headers(self) -> Mapping[str, str]:
        """Return the token of a user."""
        return {"Authorization": f"token {self.token}"}

    def place(self, status: CommitStatus) -> str:
        """Return the statuses of the commit."""
        return f"repos/{quoted(*status.repository.split('/'))}/statuses/{status.commit}"

    def body(self, status: CommitStatus, state: str) -> Mapping[str, object]:
        """Return the status as Gitea spells it."""
        shown = {"target_url": status.url} if status.url else {}
        return {"state": state, "context": status.context, "description": status.description, **shown}


@hookimpl
def settings() -> type[GiteaStatusesSettings]:
    """Return the model of the section, which says of which providers the tokens are."""
    return GiteaStatusesSettings


@hookimpl
def deployment_changed(
    deployment: Deployment,
    event: DeploymentEvent,
    settings: GiteaStatusesSettings,
    context: ObserverContext,
) -> None:
    """Set the status of the commit that was deployed."""
    announce(GiteaStatuses, deployment, event, settings, context)

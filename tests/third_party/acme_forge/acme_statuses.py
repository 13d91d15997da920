"""Commit statuses of the forge of Acme."""

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


class AcmeStatusesSettings(ProviderObserverSettings):
    """Says of which provider the tokens are."""

    providers: ClassVar[Collection[str]] = ("acme",)


class AcmeStatuses(StatusApi):
    """How this forge takes the status of a commit."""

    path = "/api"
    states: ClassVar[Mapping[CommitState, str]] = {
        "pending": "waits",
        "running": "runs",
        "success": "good",
        "skipped": "good",
        "failure": "bad",
        "cancelled": "ended",
        "error": "bad",
    }

    def headers(self) -> Mapping[str, str]:
        """Return the token."""
        return {"X-Acme-Token": self.token}

    def place(self, status: CommitStatus) -> str:
        """Return the path below `api_url`."""
        return f"{quoted(*status.repository.split('/'))}/commits/{status.commit}"

    def body(self, status: CommitStatus, state: str) -> Mapping[str, object]:
        """Return what is sent as JSON."""
        return {
            "state": state,
            "name": status.context,
            "text": status.description,
            "link": status.url,
        }


@hookimpl
def settings() -> type[AcmeStatusesSettings]:
    """Return the model of the section, which nobody needs."""
    return AcmeStatusesSettings


@hookimpl
def deployment_changed(
    deployment: Deployment,
    event: DeploymentEvent,
    settings: AcmeStatusesSettings,
    context: ObserverContext,
) -> None:
    """Set the status of the commit that was deployed."""
    announce(AcmeStatuses, deployment, event, settings, context)

"""What a deployment is to a forge, which everybody may see who sees the repository: no message of a step."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fraisier_core.observer_context import ObserverContext
from fraisier_core.statuses.commit_status import CommitState, CommitStatus
from fraisier_core.store.records import Deployment, DeploymentEvent
from fraisier_core.store.vocabulary import ENDED, KINDS, Status

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
STATES: Mapping[Status, CommitState] = {
    "pending": "pending",
    "running": "running",
    "success": "success",
    "failed": "failure",
    "rolled_back": "failure",
    "cancelled": "cancelled",
    "interrupted": "error",
    "superseded": "cancelled",
    "skipped": "skipped",
}
_SAID: Mapping[Status, str] = {
    "pending": "waiting to be deployed",
    "running": "being deployed",
    "success": "deployed",
    "failed": "the deployment failed",
    "rolled_back": "the deployment failed and was rolled back",
    "cancelled": "the deployment was cancelled",
    "interrupted": "the deployment was interrupted",
    "superseded": "superseded by a newer deployment",
    "skipped": "not deployed",
}


def status_of(
    deployment: Deployment, event: DeploymentEvent, context: ObserverContext
) -> CommitStatus | None:
    """Return what a forge is to be told because of an event, None if nothing; of which repository is left
    open.

    Nothing is told of an event that a newer one made superfluous: that one will be told. Only what deploys a
    commit is told, once its full id is known.
    """
    commit = deployment.commit_sha or ""
    if KINDS[deployment.kind].source != "commit" or not _COMMIT.fullmatch(commit):
        return None
    if status_after(event, deployment) != deployment.status:
        return None
    return CommitStatus(
        state=STATES[deployment.status],
        context=f"fraisier/{deployment.fraise_id}/{deployment.environment}",
        description=described(deployment, context.hold),
        url=context.link(deployment),
        repository="",
        commit=commit,
        ref=deployment.ref,
    )


def status_after(event: DeploymentEvent, deployment: Deployment) -> Status | None:
    """Return the status that a deployment had because of an event, None if it is not told.

    The commit of a manual deployment is known for certain only once it was fetched.
    """
    if event.event in ENDED:
        return event.event
    if event.event in {"requested", "requeued"}:
        return "pending"
    if event.event == "cancel_requested":
        return "cancelled"
    began = "release_chosen" if deployment.trigger == "manual" else "claimed"
    return "running" if event.event == began else None


def described(deployment: Deployment, hold: str | None = None) -> str:
    """Return in words how a deployment stands, and what holds it."""
    said = _SAID[deployment.status]
    if deployment.status == "pending" and hold:
        return f"{said}: {hold}"
    if deployment.status == "success" and deployment.duration is not None:
        return f"{said} in {deployment.duration:.0f} s"
    if deployment.status == "running" and deployment.attempt > 1:
        return f"{said}, attempt {deployment.attempt}"
    if deployment.status == "skipped" and deployment.error_message:
        return f"{said}: {' '.join(deployment.error_message.split())}"
    return said

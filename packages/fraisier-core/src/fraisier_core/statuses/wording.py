"""What a deployment is to a forge, which everybody may see who sees the repository: no message of a step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from fraisier_core.observer_context import ObserverContext
from fraisier_core.statuses.commit_status import CommitState, CommitStatus
from fraisier_core.store.events import DeploymentEvent
from fraisier_core.store.holds import Hold
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import ENDED, KINDS, Status

FRESH = timedelta(minutes=2)
"""For how long a status is told although a newer one follows."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CAME_TO_NOTHING = frozenset({"cancelled", "superseded", "skipped"})
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

    Nothing is told of an event that a newer one made superfluous, unless it is fresh: then the forge hears of
    each in its turn. Only what deploys a commit is told, once its full id is known.
    """
    commit = deployment.commit_sha or ""
    if KINDS[deployment.kind].source != "commit" or not _COMMIT.fullmatch(commit):
        return None
    status = status_after(event, deployment)
    if status is None or (status != deployment.status and not _is_fresh(event)):
        return None
    told = _that_counts(deployment._replace(status=status), context.previous)
    return CommitStatus(
        state=STATES[told.status],
        context=f"fraisier/{told.fraise_id}/{told.environment}",
        description=described(told, context.hold),
        url=context.link(told),
        repository="",
        commit=commit,
        ref=told.ref,
    )


def _is_fresh(event: DeploymentEvent) -> bool:
    return abs(datetime.now(UTC) - datetime.fromisoformat(event.at)) < FRESH


def _that_counts(deployment: Deployment, previous: Deployment | None) -> Deployment:
    """Return what says how the commit stands: the one before, if this one came to nothing and that one was of
    the same commit.
    """
    is_the_same = previous is not None and previous.commit_sha == deployment.commit_sha
    return previous if previous and is_the_same and deployment.status in _CAME_TO_NOTHING else deployment


def status_after(event: DeploymentEvent, deployment: Deployment) -> Status | None:
    """Return the status that a deployment had because of an event, None if it is not told.

    The commit of a manual deployment is known for certain only once it was fetched, and only then a replay is
    more than a repetition: until something comes of it, it says nothing of its commit.
    """
    is_replay = deployment.trigger == "replay" or deployment.repeats is not None
    status = _status(event, deployment, is_late=is_replay or deployment.trigger == "manual")
    return None if is_replay and status in {"pending", *_CAME_TO_NOTHING} else status


def _status(event: DeploymentEvent, deployment: Deployment, *, is_late: bool) -> Status | None:
    if event.event in ENDED:
        return event.event
    if event.event in {"requested", "requeued"}:
        return "pending"
    if event.event == "cancel_requested":  # what runs goes on until it is
        return "cancelled" if deployment.status == "cancelled" else None
    return "running" if event.event == ("release_chosen" if is_late else "claimed") else None


def described(deployment: Deployment, hold: Hold | None = None) -> str:
    """Return in words how a deployment stands, and what holds it."""
    said = _SAID[deployment.status]
    if deployment.status == "pending" and hold:
        return f"{said}: {hold.public_text}"
    if deployment.status == "success" and deployment.duration is not None:
        return f"{said} in {deployment.duration:.0f} s"
    if deployment.status == "running" and deployment.attempt > 1:
        return f"{said}, attempt {deployment.attempt}"
    if deployment.status == "skipped" and deployment.error_message:
        return f"{said}: {' '.join(deployment.error_message.split())}"
    return said

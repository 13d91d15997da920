"""What asks for a deployment: the first event of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import uuid_utils

Kind = Literal["deploy", "rollback"]
Trigger = Literal["webhook", "manual"]


@dataclass(frozen=True, slots=True)
class Request:
    """A deployment that is asked for.

    Args:
        fraise: the fraise's name.
        environment: the environment's name.
        kind: `deploy`, or `rollback` to a release.
        trigger: `webhook` or `manual`.
        requested_by: who pushed, or who ran the command.
        branch: the branch or tag, where there is one.
        commit_sha: the full id of the commit; None where the branch's head is to be taken. By hand, also its
            beginning, which fetching completes.
        release: the release to go back to, for a rollback.
    """

    fraise: str
    environment: str
    kind: Kind
    trigger: Trigger
    requested_by: str | None
    branch: str | None = None
    commit_sha: str | None = None
    release: str | None = None


def request_row(request: Request, at: str, webhook_event_id: str | None = None) -> dict[str, Any]:
    """Return the row of the `requested` event, with a new deployment id (UUID version 7, RFC 9562).

    Args:
        request: what is asked for.
        at: UTC.
        webhook_event_id: the delivery that asks, for a webhook.
    """
    return {
        "deployment_id": str(uuid_utils.uuid7()),
        "at": at,
        "fraise_id": request.fraise,
        "environment": request.environment,
        "kind": request.kind,
        "trigger": request.trigger,
        "requested_by": request.requested_by,
        "branch": request.branch,
        "commit_sha": request.commit_sha,
        "webhook_event_id": webhook_event_id,
        "release": request.release,
    }

"""Commit statuses of Gitea and Forgejo: https://docs.gitea.com/api/#tag/repository/operation/repoCreateStatus.
Gogs has none, and answers 404.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from fraisier_core import CommitState, CommitStatus, StatusApi, quoted, status_hooks


class GiteaStatuses(StatusApi):
    """It has no state for what runs."""

    providers = ("gitea", "forgejo", "gogs")
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


settings, deployment_changed = status_hooks(GiteaStatuses)

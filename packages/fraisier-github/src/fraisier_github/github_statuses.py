"""Commit statuses of GitHub and GitHub Enterprise Server:
https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from fraisier_core import (
    CommitState,
    CommitStatus,
    HttpResponse,
    StatusApi,
    quoted,
    retry_after,
    status_hooks,
)

# https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
PAUSE_SECONDS = 60.0
LIMITED = b"rate limit"


class GitHubStatuses(StatusApi):
    """It has no state for what runs, and none for what was left out."""

    providers = ("github",)
    path = "/api/v3"
    public_url = "https://api.github.com"
    public_hosts = frozenset({"github.com", "ssh.github.com"})
    description_length = 140
    url_length = 2048
    states: ClassVar[Mapping[CommitState, str]] = {
        "pending": "pending",
        "running": "pending",
        "success": "success",
        "skipped": "success",
        "failure": "failure",
        "cancelled": "error",
        "error": "error",
    }

    def headers(self) -> Mapping[str, str]:
        """Return the token as a bearer, and the version of the API."""
        return {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def place(self, status: CommitStatus) -> str:
        """Return the statuses of the commit."""
        return f"repos/{quoted(*status.repository.split('/'))}/statuses/{status.commit}"

    def body(self, status: CommitStatus, state: str) -> Mapping[str, object]:
        """Return the status as GitHub spells it."""
        shown = {"target_url": status.url} if status.url else {}
        return {"state": state, "context": status.context, "description": status.description, **shown}

    def pause(self, response: HttpResponse, now: datetime) -> float | None:
        """Return for how long a rate limit lasts: it is told by 403 or 429, in one of three ways."""
        if response.status not in {403, 429}:
            return None
        if "retry-after" in response.headers:
            return retry_after(response, now)
        reset = response.headers.get("x-ratelimit-reset", "")
        if response.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
            return max(0.0, int(reset) - now.timestamp())
        return PAUSE_SECONDS if response.status == 429 or LIMITED in response.body else None


settings, deployment_changed = status_hooks(GitHubStatuses)

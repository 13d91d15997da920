"""Commit statuses of the forge of Acme."""

from collections.abc import Mapping
from typing import ClassVar

from fraisier_core import CommitState, CommitStatus, StatusApi, quoted, status_hooks


class AcmeStatuses(StatusApi):
    """How this forge takes the status of a commit."""

    providers = ("acme",)
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


settings, deployment_changed = status_hooks(AcmeStatuses)

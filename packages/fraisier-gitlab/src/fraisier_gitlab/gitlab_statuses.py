"""Commit statuses of GitLab: https://docs.gitlab.com/api/commits/#set-commit-pipeline-status"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from fraisier_core import (
    CommitState,
    CommitStatus,
    HttpResponse,
    StatusApi,
    quoted,
    status_hooks,
)

# What is pending cannot become pending again, nor what runs: what is told twice, or requested again after an
# interruption, is no failure.
NOT_A_STEP = b"Cannot transition status via"


class GitLabStatuses(StatusApi):
    """A status is a job in a pipeline of external jobs, which GitLab creates. Its state `skipped` is newer
    than many an instance.
    """

    providers = ("gitlab",)
    path = "/api/v4"
    public_url = "https://gitlab.com/api/v4"
    public_hosts = frozenset({"gitlab.com", "altssh.gitlab.com"})
    states: ClassVar[Mapping[CommitState, str]] = {
        "pending": "pending",
        "running": "running",
        "success": "success",
        "skipped": "success",
        "failure": "failed",
        "cancelled": "canceled",
        "error": "failed",
    }

    def headers(self) -> Mapping[str, str]:
        """Return the token of a project, a group or a user."""
        return {"PRIVATE-TOKEN": self.token}

    def place(self, status: CommitStatus) -> str:
        """Return the statuses of the commit; the path of a project is encoded as one part."""
        return f"projects/{quoted(status.repository)}/statuses/{status.commit}"

    def body(self, status: CommitStatus, state: str) -> Mapping[str, object]:
        """Return the status as GitLab spells it; without a ref, it takes any branch that has the commit."""
        said = {"target_url": status.url, "ref": status.ref_name}
        shown = {key: value for key, value in said.items() if value}
        return {"state": state, "name": status.context, "description": status.description, **shown}

    def is_told(self, response: HttpResponse) -> bool:
        """Whether the commit has the status, or one that the next will follow."""
        return super().is_told(response) or (response.status == 400 and NOT_A_STEP in response.body)


settings, deployment_changed = status_hooks(GitLabStatuses)

"""Build statuses of Bitbucket Cloud and Bitbucket Data Center, which have little in common but their states.

Sources: https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/,
https://developer.atlassian.com/server/bitbucket/how-tos/updating-build-status-for-commits/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from fraisier_core import (
    CommitState,
    CommitStatus,
    ForgeApi,
    StatusApi,
    quoted,
    status_hooks,
)

DATA_CENTER = "/rest/"


class CloudStatuses(StatusApi):
    """Of Cloud, unless `api_url` is one of Data Center. A status needs an address: without one of ours, it is
    that of the commit.
    """

    providers = ("bitbucket",)
    path = "/2.0"
    public_url = "https://api.bitbucket.org/2.0"
    public_hosts = frozenset({"bitbucket.org", "altssh.bitbucket.org"})
    context_length = 40
    url_length = 512
    states: ClassVar[Mapping[CommitState, str]] = {
        "pending": "INPROGRESS",
        "running": "INPROGRESS",
        "success": "SUCCESSFUL",
        "skipped": "SUCCESSFUL",
        "failure": "FAILED",
        "cancelled": "STOPPED",
        "error": "FAILED",
    }

    @classmethod
    def of(cls, forge: ForgeApi) -> StatusApi:
        """Return the API that `api_url` means."""
        is_data_center = DATA_CENTER in urlsplit(forge.api_url or "").path
        return DataCenterStatuses(forge) if is_data_center else cls(forge)

    def headers(self) -> Mapping[str, str]:
        """Return the token of a repository, a project or a workspace."""
        return {"Authorization": f"Bearer {self.token}"}

    def place(self, status: CommitStatus) -> str:
        """Return the build statuses of the commit."""
        return f"repositories/{quoted(*status.repository.split('/'))}/commit/{status.commit}/statuses/build"

    def body(self, status: CommitStatus, state: str) -> Mapping[str, object]:
        """Return the status as Bitbucket spells it."""
        repository = quoted(*status.repository.split("/"))
        page = f"{self.site.replace('://api.', '://')}/{repository}/commits/{status.commit}"
        return {
            "key": status.context,
            "name": status.context,
            "state": state,
            "description": status.description,
            "url": status.url or page,
        }


class DataCenterStatuses(StatusApi):
    """Of Data Center 7.4 or newer. A repository is called by the key of its project and its slug; in an
    address for https, `scm/` is before them.
    """

    path = "/rest/api/latest"
    url_length = 450
    states: ClassVar[Mapping[CommitState, str]] = {**CloudStatuses.states, "cancelled": "CANCELLED"}

    def headers(self) -> Mapping[str, str]:
        """Return the HTTP access token of a repository, a project or a user."""
        return {"Authorization": f"Bearer {self.token}"}

    def repository(self, path: str) -> str:
        """Return the key and the slug."""
        return path.removeprefix("scm/")

    def place(self, status: CommitStatus) -> str:
        """Return the builds of the commit."""
        return f"{_repository(status)}/commits/{status.commit}/builds"

    def body(self, status: CommitStatus, state: str) -> Mapping[str, object]:
        """Return the status as Bitbucket spells it."""
        said = {"ref": status.ref}
        return {
            "key": status.context,
            "name": status.context,
            "state": state,
            "description": status.description,
            "url": status.url or f"{self.site}/{_repository(status)}/commits/{status.commit}",
            **{key: value for key, value in said.items() if value},
        }


def _repository(status: CommitStatus) -> str:
    key, _, slug = status.repository.partition("/")
    return f"projects/{quoted(key)}/repos/{quoted(slug)}"


settings, deployment_changed = status_hooks(CloudStatuses)

"""What a forge is told of a commit: one status in each environment, which every newer one replaces."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

from fraisier_core.push import BRANCH_PREFIX, TAG_PREFIX

CommitState = Literal["pending", "running", "success", "skipped", "failure", "cancelled", "error"]
"""How a deployment stands: `failure` is one that failed, `error` one of which nobody knows how it ended."""
_DIGEST = 8
_CUT = "…"


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """One status of a commit.

    Args:
        state: how the deployment stands.
        context: which status it is; a newer one of the same context replaces an older one.
        description: a sentence for people.
        url: the address of the page that shows the deployment, None if there is none.
        repository: its full name on the forge, such as `acme/my-api`.
        commit: the full id.
        ref: the full ref that was deployed, such as `refs/heads/main`; None if only the commit was named.
    """

    state: CommitState
    context: str
    description: str
    url: str | None
    repository: str
    commit: str
    ref: str | None = None

    @property
    def ref_name(self) -> str | None:
        """The branch or tag without its prefix."""
        return self.ref and self.ref.removeprefix(BRANCH_PREFIX).removeprefix(TAG_PREFIX)

    def within(self, *, context: int, description: int, url: int) -> CommitStatus:
        """Return the same with texts of at most so many characters. A context that is cut stays apart from
        others that begin alike, and an address that is too long is left out.
        """
        return replace(
            self,
            context=_told_apart(self.context, context),
            description=_cut(self.description, description),
            url=self.url if len(self.url or "") <= url else None,
        )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - len(_CUT)].rstrip() + _CUT


def _told_apart(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    return f"{text[: length - _DIGEST - 1]}-{digest}"

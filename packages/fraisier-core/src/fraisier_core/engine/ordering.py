"""Deliveries may arrive out of order: which commit of a branch or tag is the newest?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fraisier_core.git.mirrors import Mirror
from fraisier_core.store.records import Deployment, PushedCommit


def newer_commit(
    deployment: Deployment, commit: str, pushed: Sequence[PushedCommit], mirror: Mirror
) -> PushedCommit | None:
    """Return the commit that makes this deployment stale, or None if it is the newest or git cannot tell.

    Stale is a pushed deployment whose commit is a proper ancestor of another commit that was pushed to the
    same branch or tag of the same environment. A rewind (its `before` descends from its `after`) is never
    stale, and what was pushed before it no longer counts. Manual deployments and rollbacks are never stale.

    Args:
        deployment: the deployment at hand.
        commit: the full id of its commit.
        pushed: what other pushes requested, newest first.
        mirror: the fetched mirror.
    """
    if deployment.trigger == "manual" or _is_rewind(commit, deployment.before_sha, mirror):
        return None
    if not _descendants(commit, pushed, mirror):
        return None
    newer = _descendants(commit, list(_since_rewind(pushed, mirror)), mirror)
    return next((each for each in newer if not _descendants(each.commit_sha, newer, mirror)), None)


def _since_rewind(pushed: Sequence[PushedCommit], mirror: Mirror) -> Iterator[PushedCommit]:
    """Yield what was pushed up to the newest rewind, that one included."""
    for each in pushed:
        yield each
        if _is_rewind(each.commit_sha, each.before_sha, mirror):
            return


def _descendants(commit: str, pushed: Sequence[PushedCommit], mirror: Mirror) -> list[PushedCommit]:
    found = set(mirror.proper_descendants(commit, [each.commit_sha for each in pushed if each.commit_sha]))
    return [each for each in pushed if each.commit_sha in found]


def _is_rewind(after: str, before: str | None, mirror: Mirror) -> bool:
    return before is not None and before != after and mirror.is_ancestor(after, before) is True

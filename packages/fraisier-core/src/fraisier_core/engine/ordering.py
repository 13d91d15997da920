"""Deliveries may arrive out of order: which commit of a branch or tag is the newest?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fraisier_core.git.mirrors import Mirror
from fraisier_core.store.records import Deployment, PushedCommit


def newer_commit(
    deployment: Deployment, commit: str | None, pushed: Sequence[PushedCommit], mirror: Mirror
) -> PushedCommit | None:
    """Return the commit that makes this deployment stale, or None if it is the newest or git cannot tell.

    Stale is a pushed deployment whose commit is a proper ancestor of another commit that was pushed to the
    same branch or tag of the same environment; `pushed` has the newest first. What was pushed before a
    force-push no longer counts. A rewind (its `before` descends from its `after`) is never stale, nor are
    manual deployments and rollbacks.
    """
    if commit is None or deployment.trigger == "manual" or _is_rewind(commit, deployment.before_sha, mirror):
        return None
    if not _descendants(commit, pushed, mirror):
        return None
    newer = _descendants(commit, list(_since_force_push(pushed, mirror)), mirror)
    return next((each for each in newer if not _descendants(each.commit_sha, newer, mirror)), None)


def superseded_by(deployment: Deployment, history: Sequence[Deployment]) -> list[Deployment]:
    """Return what a deployment, or the one it repeats, superseded while both waited, newest first."""
    newer, found = {deployment.id, deployment.recovers or deployment.id}, []
    for each in history:
        if each.superseded_by in newer:
            newer.add(each.id)
            found.append(each)
    return found


def _since_force_push(pushed: Sequence[PushedCommit], mirror: Mirror) -> Iterator[PushedCommit]:
    """Yield what was pushed since the newest force-push, that one included."""
    for each in pushed:
        yield each
        if each.before_sha is not None and not mirror.is_ancestor(each.before_sha, each.commit_sha):
            return


def _descendants(commit: str, pushed: Sequence[PushedCommit], mirror: Mirror) -> list[PushedCommit]:
    found = set(mirror.proper_descendants(commit, [each.commit_sha for each in pushed if each.commit_sha]))
    return [each for each in pushed if each.commit_sha in found]


def _is_rewind(after: str, before: str | None, mirror: Mirror) -> bool:
    return before is not None and before != after and mirror.is_ancestor(after, before) is True

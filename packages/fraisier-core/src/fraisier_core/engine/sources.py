"""Where a release comes from: its commit is fetched unless it is stale, it is named, or it serves already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from fraisier_core.engine.commits import RECENT, announced, replayed
from fraisier_core.engine.decision import requested_anew
from fraisier_core.engine.execution import Execution
from fraisier_core.engine.job_rules import overtaken
from fraisier_core.errors import StepFailedError
from fraisier_core.git.local import checked_ref
from fraisier_core.git.mirrors import Mirror
from fraisier_core.release import Release
from fraisier_core.store.records import Deployment, PushedCommit, Request
from fraisier_core.store.vocabulary import SKIP_DEPLOY, Source
from fraisier_core.system.deletion import delete_tree


class Undeployed(NamedTuple):
    """Why a commit is not deployed, and which deployment makes it stale, if one does. What it superseded is
    requested again unless it `covers` that.
    """

    reason: str
    newer: str | None = None
    covers: bool = False


def fetched(execution: Execution) -> Release | None:
    """Return a new release of the commit; None if the deployment ended as superseded or skipped."""
    context, deployment = execution.context, execution.deployment
    bounded = context.mirror.bounded()
    with execution.recorder.step("fetch"), execution.cancellation.explained(), bounded:
        context.workspace.check_place()
        found = _commit_to_deploy(execution)
        if isinstance(found, str):
            return context.workspace.prepare(_release_name(deployment, found), found, context.mirror)
    _end(execution, found)
    return None


def named(execution: Execution) -> Release | None:
    """Return the release that the request names; None if the deployment ended as skipped. Raises
    `StepFailedError` if the release is gone.
    """
    if reason := overtaken(execution):
        execution.recorder.end("skipped", reason)
        return None
    name = execution.deployment.release
    release = execution.existing(name)
    if release is None:
        raise StepFailedError(f"release {name} is gone: it was pruned (keep_releases)")
    return release


def serving(execution: Execution) -> Release | None:
    """Return the release that serves; None if none does, and what a timer requested ended as skipped. Raises
    `StepFailedError` if none does, it is unknown or it is gone.
    """
    deployment = execution.deployment
    names = deployment.fraise_id, deployment.environment
    what, known = " ".join(names), execution.store.serving(*names)
    if known is None:
        if any(each.serving_unknown for each in execution.store.status(*names)):
            raise StepFailedError(f"which release of {what} serves is unknown: deploy or roll back first")
        if deployment.trigger != "schedule":
            raise StepFailedError(f"no release of {what} serves")
        execution.recorder.end("skipped", f"no release of {what} serves yet: deploy it first")
        return None
    release = execution.existing(known.release)
    if release is None:
        raise StepFailedError(f"release {known.release} of {what} serves, and is gone: deploy again")
    return release


def nothing(execution: Execution) -> Release:
    """Return what stands for a release where none is needed: a folder of the environment's own, emptied."""
    folder = execution.context.work
    if reason := delete_tree(folder):
        raise StepFailedError(f"what was left in {folder} cannot be deleted: {reason}")
    folder.mkdir(mode=0o700, parents=True)
    return Release("", folder, "")


SOURCES: Mapping[Source, Callable[[Execution], Release | None]] = {
    "commit": fetched,
    "release": named,
    "serving": serving,
    "nothing": nothing,
}


def _commit_to_deploy(execution: Execution) -> str | Undeployed:
    deployment = execution.deployment
    if deployment.repeats is not None:
        execution.context.mirror.fetch(deployment.ref and checked_ref(deployment.ref))
        if reason := replayed(execution, deployment):
            return Undeployed(reason)
    commit = announced(execution)
    if newer := _newer(execution, deployment, commit):
        reason = f"{commit[:12]} is an ancestor of {newer.commit_sha[:12]}, which was also pushed"
        return Undeployed(reason, newer.deployment_id)
    if deployment.trigger != "manual" and _says_skip(execution, commit):
        return Undeployed(f"the message of {commit[:12]} says {SKIP_DEPLOY}")
    if _is_unchanged(execution, commit):
        return Undeployed(f"nothing under the mapped `paths:` changed up to {commit[:12]}", covers=True)
    return commit


def _end(execution: Execution, found: Undeployed) -> None:
    store, lease = execution.store, execution.recorder.lease
    if found.newer is not None:
        store.supersede(lease, found.newer, found.reason, _request_again(execution))
    elif found.covers:
        execution.recorder.end("skipped", found.reason)
    else:
        store.skip(lease, found.reason, _request_again(execution))


def newer_commit(
    deployment: Deployment, commit: str | None, pushed: Sequence[PushedCommit], mirror: Mirror
) -> PushedCommit | None:
    """Return the commit that makes this deployment stale, or None if it is the newest or git cannot tell.

    Stale is a pushed deployment whose commit is a proper ancestor of another commit that was pushed to the
    same branch or tag of the same environment; `pushed` has the newest first. What was pushed before a
    force-push no longer counts. A rewind (its `before` descends from its `after`) is never stale unless it is
    replayed, nor are manual deployments, rollbacks, and what repeats an earlier delivery: its ref is there.
    """
    if commit is None or deployment.trigger == "manual" or deployment.repeats is not None:
        return None
    if deployment.trigger != "replay" and _is_rewind(commit, deployment.before_sha, mirror):
        return None
    if not _descendants(commit, pushed, mirror):
        return None
    newer = _descendants(commit, list(_since_force_push(pushed, mirror)), mirror)
    return next((each for each in newer if not _descendants(each.commit_sha, newer, mirror)), None)


def superseded_by(deployment: Deployment, history: Sequence[Deployment]) -> list[Deployment]:
    """Return what a deployment, or the one it repeats, superseded while both waited, newest first. One that
    repeats a delivery supersedes every other such, of which `history` has one for each delivery.
    """
    if deployment.repeats is not None:
        return [each for each in history if each.repeats is not None and each.status == "superseded"]
    newer, found = {deployment.id, deployment.recovers or deployment.id}, []
    for each in history:
        if each.superseded_by in newer:
            newer.add(each.id)
            found.append(each)
    return found


def _newer(execution: Execution, deployment: Deployment, commit: str | None) -> PushedCommit | None:
    pushed = execution.store.pushed_commits(deployment)
    if execution.context.settings.skip_deploy:
        pushed = [each for each in pushed if not _says_skip(execution, each.commit_sha)]
    return newer_commit(deployment, commit, pushed, execution.context.mirror)


def _request_again(execution: Execution) -> Request | None:
    """Return the request for what an undeployed deployment kept from being deployed, if there is anything."""
    undeployed = execution.deployment
    recent = execution.store.history(undeployed, RECENT)
    history = [each for each in recent if each.id != undeployed.id]
    superseded = superseded_by(undeployed, history)
    newest = next((each for each in superseded if _is_due(execution, each)), None)
    if newest is not None:
        return newest.repeated()
    return None if undeployed.recovers else requested_anew(history)


def _is_due(execution: Execution, deployment: Deployment) -> bool:
    """Whether a deployment that was superseded would be executed."""
    if deployment.status != "superseded" or _says_skip(execution, deployment.commit_sha):
        return False
    if deployment.repeats is not None:
        return replayed(execution, deployment) is None
    return not _newer(execution, deployment, deployment.commit_sha)


def _says_skip(execution: Execution, commit: str | None) -> bool:
    context = execution.context
    return bool(commit and context.settings.skip_deploy and SKIP_DEPLOY in context.mirror.message(commit))


def _is_unchanged(execution: Execution, commit: str) -> bool:
    deployment = execution.deployment
    serving = execution.store.serving(deployment.fraise_id, deployment.environment)
    if serving is None or not deployment.pathspecs:
        return False
    mirror, old = execution.context.mirror, serving.commit_sha
    return not any(mirror.has_changes(old, commit, pathspecs) for pathspecs in deployment.pathspecs)


def _release_name(deployment: Deployment, commit: str) -> str:
    when = (deployment.started_at or deployment.requested_at)[:19].replace("-", "").replace(":", "")
    return f"{when.replace('T', '-')}-{commit[:12]}-{deployment.id[-4:]}"


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

"""Which commit is deployed: the one that is asked for, fetched; one that comes late is asked for again."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import takewhile

from fraisier_core.engine.execution import Execution
from fraisier_core.errors import CommitGoneError
from fraisier_core.git.local import checked_ref, is_full_id
from fraisier_core.git.mirrors import Mirror
from fraisier_core.store.records import Deployment, Request
from fraisier_core.system.backoff import Backoff
from fraisier_core.system.timing import LATE_COMMIT

RECENT = 100


def commit_of(asked: Deployment | Request, mirror: Mirror) -> str:
    """Return the full id of the commit that is asked for, fetched. Raises `StepFailedError` if it is gone."""
    mirror.fetch(asked.ref and checked_ref(asked.ref))
    commit = asked.commit_sha
    if commit is None:
        return mirror.resolve_ref(asked.ref or "")
    return mirror.require(commit) if is_full_id(commit) else mirror.resolve_commit(commit)


def announced(execution: Execution) -> str:
    """Return what `commit_of` does; a pushed commit that the forge does not serve yet is asked for again, for
    up to `LATE_COMMIT` seconds, unless what it serves was pushed later.
    """
    until, backoff = time.monotonic() + LATE_COMMIT, Backoff()
    while True:
        try:
            return commit_of(execution.deployment, execution.context.mirror)
        except CommitGoneError as error:
            left = until - time.monotonic()
            if execution.deployment.trigger == "manual" or _was_moved_on(execution):
                raise
            if left <= 0:
                raise CommitGoneError(f"{error}; it was asked for again for {LATE_COMMIT:g} s") from None
        execution.recorder.note("the forge does not serve the commit yet; it is asked for again")
        execution.cancellation.wait(min(backoff.pause(), left))


def replayed(execution: Execution, deployment: Deployment) -> str | None:
    """Return why a deployment that repeats an earlier delivery may be a replay that displaces something. None
    if its ref is at its commit in the mirror, and either a delivery said that it had left, or nothing else
    was requested since.
    """
    mirror, ref, commit = execution.context.mirror, deployment.ref or "", deployment.commit_sha or ""
    again = f"the delivery repeats that of event {deployment.repeats}"
    try:
        now = mirror.resolve_ref(ref)
    except CommitGoneError:
        return f"{again}, and {deployment.ref_name} is gone"
    if not mirror.has(commit) or mirror.require(commit) != now:
        return f"{again}, and {deployment.ref_name} is at {now[:12]} now"
    if not execution.store.may_have_returned(deployment, now):
        left = f"no delivery since says that {deployment.ref_name} had left {now[:12]}"
        return f"{again}, {left}, and something else was requested here"
    return None


def _was_moved_on(execution: Execution) -> bool:
    """Return whether the ref is at a commit that was pushed after the one that is missing."""
    deployment, mirror = execution.deployment, execution.context.mirror
    recent = execution.store.history(deployment, RECENT)
    later = takewhile(lambda each: each.id != deployment.id, recent)
    pushed = (each for each in later if each.repeats is None or each.release is not None)
    commits = {each.commit_sha for each in pushed if each.ref == deployment.ref}
    with suppress(CommitGoneError):
        return mirror.resolve_ref(deployment.ref or "") in commits
    return False

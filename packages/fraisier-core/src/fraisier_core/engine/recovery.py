"""Recover a deployment whose process is gone: inspect, then finish, roll back, or record `interrupted`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import takewhile

from fraisier_core.engine.after_storing import problem_of_stored
from fraisier_core.engine.backward import fail_unknown, roll_back, undo_activation
from fraisier_core.engine.decision import decide
from fraisier_core.engine.execution import Execution
from fraisier_core.engine.forward import finish
from fraisier_core.engine.hooks import RecordedRun
from fraisier_core.errors import CancelledError, FraisierError
from fraisier_core.requests.holding import holds_of
from fraisier_core.store.events import Event
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, Lease, Request, Step
from fraisier_core.store.vocabulary import KINDS, Ending

logger = logging.getLogger(__name__)

SWITCHES = {"activate", "checkout"}
ATTEMPTS = 3


def recover_unactivated(
    store: Store, lease: Lease, deployment: Deployment, why: str = "the deployment process ended"
) -> bool:
    """End or requeue a deployment that had activated nothing; return whether it was one. Only one that had
    not started a step may run again, a few times, and only if it does nothing before its first; one that had
    stored what it is for succeeds. `why` says what ended it.
    """
    if deployment.activation_started:
        return False
    steps, kind = store.steps(deployment.id), KINDS[deployment.kind]
    if problem := problem_of_stored(deployment, why):
        store.append(lease, problem, Event("success", message=kind.done))
    elif not steps and lease.attempt < ATTEMPTS and kind.activates:
        store.requeue(lease)
    else:
        interrupt(store, lease, deployment, _unactivated(why, lease, deployment, steps))
    return True


def interrupt(store: Store, lease: Lease, deployment: Deployment, message: str) -> None:
    """Record an interruption and, if that is safe, request the commit anew in the same transaction. A push
    that is held does not follow what is not.
    """
    newest = store.deployments(deployment.fraise_id, deployment.environment)
    later = list(takewhile(lambda each: each.id != deployment.id, newest))
    held = {} if deployment.obeys_holds else holds_of(later, store)
    counting = [each for each in later if each.id not in held and _counts(each, deployment)]
    decision = decide(deployment, counting)
    if isinstance(decision, str):
        message = f"{message}; waits for a decision: {decision}"
    request = decision if isinstance(decision, Request) else None
    store.append(lease, Event("interrupted", message=message), request=request)


def _counts(later: Deployment, deployment: Deployment) -> bool:
    """Whether a later one bears on what follows; a run that was skipped may have been for the interrupted."""
    own, other = KINDS[deployment.kind], KINDS[later.kind]
    return other.lane == own.lane and (other.supersedes or later.status != "skipped")


def _unactivated(why: str, lease: Lease, deployment: Deployment, steps: Sequence[Step]) -> str:
    activates = KINDS[deployment.kind].activates
    if not steps:
        ended = f"the deployment process ended {lease.attempt} times" if activates else why
        return f"{ended} before its first step; nothing was done"
    when = "during" if steps[-1].status in {"running", "interrupted"} else "after"
    untouched = "; nothing was activated" if activates else ""
    return f"{why} {when} step {steps[-1].name}{untouched}"


def recover(execution: Execution) -> None:
    """Finish a deployment that had activated something, or roll back. Raises as `execute` does."""
    try:
        _inspect(execution)
    except Exception as error:  # noqa: BLE001 - the run boundary: a recovery that fails must not be tried for ever
        message = f"the deployment process ended, and recovery failed: {execution.caught(error)}"
        fail_unknown(execution, message)


def _inspect(execution: Execution) -> None:
    deployment = execution.deployment
    steps = execution.store.steps(deployment.id)
    if deployment.rollback_started:
        status: Ending = "cancelled" if deployment.cancel_requested else "rolled_back"
        message = deployment.error_message or "the deployment process ended during the rollback"
        roll_back(execution, message, status)
    elif [step.status for step in steps if step.name in SWITCHES] == ["running"]:  # nothing came after it
        undo_activation(execution)
        message = execution.concluded("the deployment process ended during activation, which was undone")
        interrupt(execution.store, execution.recorder.lease, deployment, message)
    else:
        _finish_or_roll_back(execution, steps)


def _finish_or_roll_back(execution: Execution, steps: Sequence[Step]) -> None:
    """Finish if `deploy` had returned, which is when the engine begins to verify; roll back otherwise."""
    unfinished = [step.name for step in steps if step.status != "success" and step.name != "verify"]
    release = execution.existing(execution.deployment.release)
    if release is None or unfinished or not any(step.name == "verify" for step in steps):
        when = f"during step {', '.join(unfinished)}" if unfinished else f"after step {steps[-1].name}"
        roll_back(execution, f"the deployment process ended {when}")
        return
    try:
        finish(execution, RecordedRun(execution, release))
    except FraisierError as error:
        status: Ending = "cancelled" if isinstance(error, CancelledError) else "rolled_back"
        message = "the deployment process ended before the health check, and recovery failed: "
        roll_back(execution, f"{message}{execution.caught(error)}", status)

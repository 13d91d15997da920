"""The way back: what a deployment that failed leaves behind, and how it ends."""

from __future__ import annotations

from fraisier_core.engine.after_storing import problem_of_stored
from fraisier_core.engine.execution import Execution
from fraisier_core.engine.hooks import call
from fraisier_core.engine.job_rules import after_failure
from fraisier_core.engine.verification import verify
from fraisier_core.errors import ActivationRefusedError, CancelledError
from fraisier_core.store.events import Event
from fraisier_core.store.vocabulary import KINDS, Ending
from fraisier_core.system.failpoints import failpoint


def fail(execution: Execution, error: Exception) -> None:
    """Record why a deployment failed, after rolling back if something was activated."""
    message, cancelled = execution.caught(error), isinstance(error, CancelledError)
    status: Ending = "cancelled" if cancelled else "failed"
    execution.cancellation.withdraw()
    kind = KINDS[execution.deployment.kind]
    if problem := problem_of_stored(execution.deployment, message):
        execution.end("success", kind.done, problem)
    elif not kind.activates:
        added, follow_up = after_failure(execution) if status == "failed" else ("", None)
        execution.end(status, f"{message}{added}", follow_up=follow_up)
    elif not execution.deployment.activation_started:
        execution.end(status, f"{message}; nothing was activated")
    elif isinstance(error, ActivationRefusedError):
        undo_activation(execution)
        untouched = "The previous process is still running, and activation was undone"
        execution.end(status, f"{message}. {untouched}")
    else:
        roll_back(execution, message, "cancelled" if cancelled else "rolled_back")


def roll_back(execution: Execution, message: str, status: Ending = "rolled_back") -> None:
    """Activate the previous release, verify it, and end the deployment with `status` if that succeeds."""
    execution.cancellation.withdraw()
    previous = execution.existing(execution.deployment.previous_release)
    if previous is None:
        fail_unknown(execution, f"{message}; there is no earlier release to roll back to")
        return
    execution.recorder.append(Event("rollback_started", release=previous.name, message=message))
    failpoint("rollback")
    try:
        verify(execution, call(execution, "rollback", previous))
    except Exception as error:  # noqa: BLE001 - the run boundary: a plugin may raise anything
        also = f"Rollback to {previous.name} also failed: {execution.caught(error)}"
        fail_unknown(execution, f"{message}. {also}")
    else:
        serving = Event("serving", release=previous.name, commit_sha=previous.commit_sha)
        execution.end(status, f"{message}; release {previous.name} serves again", serving)


def undo_activation(execution: Execution) -> None:
    """Activate the release from before the deployment again, for what runs was never changed."""
    previous = execution.existing(execution.store.previously_active(execution.deployment.id))
    if previous is None:
        execution.context.workspace.withdraw()
    else:
        execution.context.workspace.activate(previous, execution.deployment.id)


def fail_unknown(execution: Execution, message: str) -> None:
    """End a deployment as failed, with the serving release unknown."""
    execution.end("failed", message, Event("serving"))

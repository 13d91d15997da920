"""Before a release is activated: the backup that a deployment asks for, and waits for."""

from __future__ import annotations

import time

from fraisier_core.config.fraise import BackupBefore
from fraisier_core.engine.execution import Execution
from fraisier_core.errors import CancelledError, StepFailedError
from fraisier_core.requests.requesting import request_deployments
from fraisier_core.store.records import Deployment, Request
from fraisier_core.store.vocabulary import ENDED
from fraisier_core.units.starting import start_next

STEP = "backup_before"
PAUSE = 0.2


def back_up_first(execution: Execution) -> None:
    """Have a backup made if the environment says so, and wait for it. Raises `StepFailedError` if that does
    not succeed in time.
    """
    before = execution.context.backup_before
    if before is None:
        return
    with execution.recorder.step(STEP):
        backup_id = _requested(execution, before)
        try:
            done = _ended(execution, backup_id, before)
        except (CancelledError, StepFailedError):
            execution.store.request_cancel(backup_id, f"deployment {execution.deployment.id}")
            raise
        if done.status != "success":
            why = f": {done.error_message}" if done.error_message else ""
            raise StepFailedError(f"backup {backup_id} of {_what(before)} {done.status}{why}")
        stored = f"{done.stored_name}, {done.stored_size} bytes, at {done.stored_at}"
        execution.recorder.note(f"backup {backup_id} of {_what(before)}: {stored}")


def _requested(execution: Execution, before: BackupBefore) -> str:
    deployment, names = execution.deployment, (before.fraise, before.environment)
    request = Request(*names, "backup", "before_deploy", deployment.requested_by)
    (backup_id,) = request_deployments(execution.store, [request._replace(requested_for=deployment.id)])
    execution.recorder.note(f"backup {backup_id} of {_what(before)} is requested")
    start_next(execution.store, *names, backup_id)
    return backup_id


def _ended(execution: Execution, backup_id: str, before: BackupBefore) -> Deployment:
    """Return a backup once it has ended; a cancellation or an interruption ends the wait."""
    until = time.monotonic() + before.seconds
    while (found := execution.store.deployment(backup_id)).status not in ENDED:
        if time.monotonic() > until:
            late = f"backup {backup_id} of {_what(before)} is {found.status} after {before.seconds:g} s"
            raise StepFailedError(f"{late} (its timeout), and is cancelled")
        execution.cancellation.wait(PAUSE)
    return found


def _what(before: BackupBefore) -> str:
    return f"{before.fraise} {before.environment}"

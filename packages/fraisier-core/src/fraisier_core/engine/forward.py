"""The way forward: take a release, activate it, verify it, and record success."""

from __future__ import annotations

import logging

from fraisier_core.engine.backup_first import back_up_first
from fraisier_core.engine.backward import fail
from fraisier_core.engine.execution import Execution
from fraisier_core.engine.hooks import RecordedRun
from fraisier_core.engine.job_rules import require_release_of_its_own, run_after
from fraisier_core.engine.retries import call_with_retries
from fraisier_core.engine.sources import SOURCES
from fraisier_core.engine.unit_check import check_units
from fraisier_core.engine.verification import verify
from fraisier_core.errors import StepFailedError
from fraisier_core.release import Release
from fraisier_core.store.events import Event
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.failpoints import failpoint

logger = logging.getLogger(__name__)


def execute(execution: Execution) -> None:
    """Execute a deployment as its kind says, and roll back if it fails after activation. Recovery goes on
    after a `StoreError` (nothing can be recorded, or the lease was taken over) or `InterruptedRunError` (the
    worker is gone).
    """
    kind = KINDS[execution.deployment.kind]
    try:
        if kind.source == "serving":
            require_release_of_its_own(execution)
        release = SOURCES[kind.source](execution)
        if release is not None:
            if kind.source != "nothing":
                _record(execution, release, _to_return_to(execution) if kind.activates else None)
            if kind.source == "commit":
                check_units(execution)
                back_up_first(execution)
            run = call_with_retries(execution, kind.hook, release)
            if kind.activates:
                finish(execution, run)
            else:
                execution.recorder.end("success", kind.done)
    except Exception as error:  # noqa: BLE001 - the run boundary: a plugin may raise anything
        fail(execution, error)


def finish(execution: Execution, run: RecordedRun) -> None:
    """Verify an activated release and record success. Raises `StepFailedError` if it is unhealthy."""
    detail, release = verify(execution, run), run.release
    failpoint("before_success")
    _tidy(execution, release)
    serving = Event("serving", release=release.name, commit_sha=release.commit_sha)
    execution.end("success", detail, serving, follow_up=run_after(execution))


def _record(execution: Execution, release: Release, previous: Release | None) -> None:
    created = Event("release_chosen", release=release.name, commit_sha=release.commit_sha)
    if previous is not None:
        created = created._replace(previous_release=previous.name, previous_commit_sha=previous.commit_sha)
    execution.recorder.append(created)


def _to_return_to(execution: Execution) -> Release | None:
    """Return the release to roll back to: the serving one or, if it is unknown, the last healthy one. In a
    clone that was never deployed to, it is what is checked out.
    """
    deployment, workspace = execution.deployment, execution.context.workspace
    serving = execution.store.serving(deployment.fraise_id, deployment.environment)
    if serving is not None:
        return workspace.get(serving.release)
    current = workspace.current()
    if workspace.in_place:
        return execution.existing(current)
    healthy = execution.store.healthy_releases(deployment.fraise_id, deployment.environment)
    names = sorted((each.release for each in healthy), key=lambda name: name != current)
    return next((release for name in names if (release := workspace.get(name))), None)


def _tidy(execution: Execution, release: Release) -> None:
    """Set old releases aside while the lease is held: the next deployment's must not be taken for one."""
    deployment, context = execution.deployment, execution.context
    healthy = execution.store.healthy_releases(deployment.fraise_id, deployment.environment)
    in_use = execution.store.releases_in_use(deployment.fraise_id, deployment.environment)
    protected = in_use | {name for name in (release.name, deployment.previous_release) if name}
    order = [release.name, *(each.release for each in healthy)]
    try:
        context.workspace.tidy(context.settings.keep_releases, order, protected)
    except (OSError, StepFailedError) as error:
        where = f"{context.fraise} {context.environment}"
        logger.warning("old releases of %s could not be removed: %s", where, error)

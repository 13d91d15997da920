"""What the settings of an environment's job say to the engine."""

from __future__ import annotations

from fraisier_core.engine.earlier import earlier_releases
from fraisier_core.engine.execution import Execution
from fraisier_core.errors import StepFailedError
from fraisier_core.job_settings import JobSettings
from fraisier_core.store.records import HealthyRelease, Request
from fraisier_core.store.vocabulary import KINDS


def run_after(execution: Execution) -> Request | None:
    """Return the run that follows the success of a deployment; None if there is none, as after a rollback."""
    deployment, settings = execution.deployment, execution.context.settings
    wanted = isinstance(settings, JobSettings) and settings.run == "on_deploy"
    if not wanted or KINDS[deployment.kind].source != "commit":
        return None
    names = deployment.fraise_id, deployment.environment
    return Request(*names, "run", "on_deploy", deployment.requested_by, requested_for=deployment.id)


def after_failure(execution: Execution) -> tuple[str, Request | None]:
    """Return what there is to add to the message of a run that failed, and the rollback that follows it."""
    deployment, settings = execution.deployment, execution.context.settings
    names = deployment.fraise_id, deployment.environment
    wanted = isinstance(settings, JobSettings) and settings.on_failure == "rollback"
    if not wanted or not KINDS[deployment.kind].job or deployment.release is None:
        return "", None
    serving = execution.store.serving(*names)
    if serving is None or serving.release != deployment.release:
        return f"; release {deployment.release} does not serve any more, and is not rolled back from", None
    if execution.store.has_succeeded(deployment, deployment.release):
        return f"; release {deployment.release} stays: a run of it had succeeded", None
    target = _that_ran(execution, serving)
    if target is None:
        return f"; release {deployment.release} stays: there is no earlier one of which a run succeeded", None
    if waiting := _waiting_rollback(execution):
        return f"; rollback {waiting} waits already", None
    by = deployment.requested_by
    back = Request(*names, "rollback", "on_failure", by, requested_for=deployment.id)
    back = back._replace(release=target.release, commit_sha=target.commit_sha)
    return f"; a rollback to release {target.release} is requested", back


def _that_ran(execution: Execution, serving: HealthyRelease) -> HealthyRelease | None:
    """Return the newest release of which such a run has succeeded, and that is older than the serving one."""
    run, store = execution.deployment, execution.store
    for each in earlier_releases(store.healthy_releases(run.fraise_id, run.environment), serving):
        if execution.existing(each.release) and store.has_succeeded(run, each.release):
            return each
    return None


def _waiting_rollback(execution: Execution) -> str | None:
    deployment = execution.deployment
    newest = execution.store.deployments(deployment.fraise_id, deployment.environment)
    rollbacks = (each for each in newest if KINDS[each.kind].source == "release")
    return next((each.id for each in rollbacks if each.status == "pending"), None)


def overtaken(execution: Execution) -> str | None:
    """Return why the rollback that a run requested by failing has nothing to do any more, None if it has."""
    deployment = execution.deployment
    if deployment.trigger != "on_failure" or deployment.requested_for is None:
        return None
    failed = execution.store.deployment(deployment.requested_for)
    serving = execution.store.serving(deployment.fraise_id, deployment.environment)
    if serving is not None and serving.release == failed.release:
        return None
    return f"release {failed.release}, whose run failed, does not serve any more"


def require_release_of_its_own(execution: Execution) -> None:
    """Raise `StepFailedError` if a deployment may change the files of a run while it is under way."""
    settings = execution.context.settings
    during = isinstance(settings, JobSettings) and settings.deploy_during_run
    if during and execution.context.workspace.in_place:
        place = f"{settings.app_path} is a clone, whose files a deployment changes while they are in use"
        raise StepFailedError(f"deploy_during_run: {place}: remove this key, or let app_path be a link")

"""What the settings of an environment's job say to the engine."""

from __future__ import annotations

from fraisier_core.engine.execution import Execution
from fraisier_core.errors import StepFailedError
from fraisier_core.job_settings import JobSettings
from fraisier_core.store.records import Request
from fraisier_core.store.vocabulary import KINDS


def run_after(execution: Execution) -> Request | None:
    """Return the run that follows the success of a deployment; None if there is none, as after a rollback."""
    deployment, settings = execution.deployment, execution.context.settings
    wanted = isinstance(settings, JobSettings) and settings.run == "on_deploy"
    if not wanted or KINDS[deployment.kind].source != "commit":
        return None
    names = deployment.fraise_id, deployment.environment
    return Request(*names, "run", "on_deploy", deployment.requested_by, requested_for=deployment.id)


def require_release_of_its_own(execution: Execution) -> None:
    """Raise `StepFailedError` if a deployment may change the files of a run while it is under way."""
    settings = execution.context.settings
    during = isinstance(settings, JobSettings) and settings.deploy_during_run
    if during and execution.context.workspace.in_place:
        place = f"{settings.app_path} is a clone, whose files a deployment changes while they are in use"
        raise StepFailedError(f"deploy_during_run: {place}: remove this key, or let app_path be a link")

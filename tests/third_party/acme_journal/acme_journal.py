"""The observer `journal`: a line in a file for each change of a deployment."""

from pathlib import Path

from fraisier_core import Deployment, DeploymentEvent, ObserverSettings, hookimpl


class JournalSettings(ObserverSettings):
    """The section `journal:`."""

    file: Path


@hookimpl
def settings() -> type[JournalSettings]:
    """Return the model of the section."""
    return JournalSettings


@hookimpl
def deployment_changed(deployment: Deployment, event: DeploymentEvent, settings: JournalSettings) -> None:
    """Write what changed."""
    what = event.event if event.step is None else f"{event.event} {event.step}"
    with settings.file.open("a") as file:
        file.write(f"{event.sequence} {deployment.fraise_id} {deployment.environment}: {what}\n")

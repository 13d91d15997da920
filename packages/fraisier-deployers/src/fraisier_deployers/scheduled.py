"""The fraise type `scheduled`: install a release as `api` does, and run a command in it when it is time."""

from __future__ import annotations

from collections.abc import Collection

from fraisier_core import Health, JobSettings, Release, ReleasePath, Run, Schedule, hookimpl
from pydantic import model_validator

from fraisier_deployers.installing import Command, InstallSettings, build, install_steps, migrate, roll_back
from fraisier_deployers.job_scripts import require_script, script_command


class ScheduledSettings(JobSettings, InstallSettings):
    """The section of an environment of type `scheduled`.

    Args:
        schedule: when the job runs.
        command: the job; it gets the arguments of the run after its own.
        script_path: a script within the release as the job, instead of `command`.
    """

    schedule: Schedule
    command: Command | None = None
    script_path: ReleasePath | None = None

    @model_validator(mode="after")
    def _one_job(self) -> ScheduledSettings:
        if (self.command is None) == (self.script_path is None):
            raise ValueError("set either command or script_path")
        return self


@hookimpl
def settings() -> type[ScheduledSettings]:
    """Return the model of the environment's section."""
    return ScheduledSettings


@hookimpl
def deploy(run: Run[ScheduledSettings]) -> None:
    """Build, migrate and switch; a timer runs the job."""
    build(run)
    if run.settings.script_path is not None:
        require_script(run, run.settings.script_path)
    migrate(run)
    run.activate()


@hookimpl
def steps(settings: ScheduledSettings, files: Collection[str]) -> list[str]:
    """Return the names of the steps that `deploy` would take."""
    return install_steps(settings, files)


@hookimpl
def run_job(run: Run[ScheduledSettings]) -> None:
    """Run the command."""
    with run.step("run"):
        run.command([*_job(run.settings), *run.arguments])


@hookimpl
def rollback(run: Run[ScheduledSettings], to: Release) -> None:
    """Switch back to `to`."""
    roll_back(run, to)


@hookimpl
def health_check(run: Run[ScheduledSettings]) -> Health:
    """Run the configured probe."""
    return run.probe()


def _job(settings: ScheduledSettings) -> list[str]:
    if settings.script_path is not None:
        return script_command(settings.script_path)
    assert settings.command is not None  # noqa: S101 - validated: it is one of the two
    return settings.command

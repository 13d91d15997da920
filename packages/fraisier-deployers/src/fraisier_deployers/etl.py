"""The fraise type `etl`: install a release as `api` does, and run a script of it as a job."""

from __future__ import annotations

from collections.abc import Collection

from fraisier_core import Health, JobSettings, Release, ReleasePath, Run, hookimpl

from fraisier_deployers.installing import InstallSettings, build, install_steps, migrate, roll_back
from fraisier_deployers.job_scripts import require_script, script_command


class EtlSettings(JobSettings, InstallSettings):
    """The section of an environment of type `etl`.

    Args:
        script_path: the script that is the job, within the release; it gets the arguments of the run.
    """

    script_path: ReleasePath


@hookimpl
def settings() -> type[EtlSettings]:
    """Return the model of the environment's section."""
    return EtlSettings


@hookimpl
def deploy(run: Run[EtlSettings]) -> None:
    """Build, migrate and switch; the job is run afterwards."""
    build(run)
    require_script(run, run.settings.script_path)
    migrate(run)
    run.activate()


@hookimpl
def steps(settings: EtlSettings, files: Collection[str]) -> list[str]:
    """Return the names of the steps that `deploy` would take."""
    return install_steps(settings, files)


@hookimpl
def run_job(run: Run[EtlSettings]) -> None:
    """Run the script."""
    with run.step("run"):
        run.command([*script_command(run.settings.script_path), *run.arguments])


@hookimpl
def rollback(run: Run[EtlSettings], to: Release) -> None:
    """Switch back to `to`."""
    roll_back(run, to)


@hookimpl
def health_check(run: Run[EtlSettings]) -> Health:
    """Run the configured probe."""
    return run.probe()

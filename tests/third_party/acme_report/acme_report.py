"""The fraise type `report`: a program whose reports are printed by a job."""

from fraisier_core import Health, JobSettings, Run, StepFailedError, hookimpl


class ReportSettings(JobSettings):
    """The section of an environment of type `report`."""

    program: str = "report.sh"


@hookimpl
def settings() -> type[ReportSettings]:
    """Return the model of the environment's section."""
    return ReportSettings


@hookimpl
def deploy(run: Run[ReportSettings]) -> None:
    """Look for the program, then activate."""
    with run.step("look"):
        if not (run.release.path / run.settings.program).is_file():
            raise StepFailedError(f"{run.settings.program} is missing")
    run.activate()


@hookimpl
def run_job(run: Run[ReportSettings]) -> None:
    """Print a report."""
    with run.step("report"):
        run.command(["sh", run.settings.program, *run.arguments])


@hookimpl
def health_check(run: Run[ReportSettings]) -> Health:
    """Run the configured probe."""
    return run.probe()

"""The module of a fraise type whose job is an inspection, a kind that `tests.kinds` adds as a row."""

from __future__ import annotations

from pathlib import Path

from fraisier_core import Health, JobSettings, Run, hookimpl


class InspectionSettings(JobSettings):
    """The section of an environment of this type."""

    source: Path
    target: Path


@hookimpl
def settings() -> type[InspectionSettings]:
    return InspectionSettings


@hookimpl
def deploy(run: Run[InspectionSettings]) -> None:
    run.activate()


@hookimpl
def health_check(run: Run[InspectionSettings]) -> Health:
    return run.probe()


@hookimpl
def run_job(run: Run[InspectionSettings]) -> None:
    """Copy the source to a file of the name that the request gives, and compare."""
    (name,) = run.arguments
    copy = run.settings.target / name
    with run.step("copy"):
        run.command(["cp", "--verbose", run.settings.source, copy])
    with run.step("compare"):
        run.command(["cmp", run.settings.source, copy])

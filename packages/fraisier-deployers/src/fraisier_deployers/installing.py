"""What the fraise types here do alike: build a release, migrate its database, activate it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, TypeVar

from fraisier_core import EnvironmentSettings, Release, Run
from pydantic import Field

BUILD_SCRIPT = "build.sh"

Command = Annotated[list[str], Field(min_length=1)]


class InstallSettings(EnvironmentSettings):
    """How a release is made ready.

    Commands are argument lists; no shell reads them, and they run in the release.

    Args:
        build: makes the release ready to run. By default `build.sh` at the release's root, if there is
            one; an empty list builds nothing.
        migrate: brings the database to what the release expects, before anything is switched.
    """

    build: list[str] | None = None
    migrate: Command | None = None


S = TypeVar("S", bound=InstallSettings)


def build(run: Run[S]) -> None:
    """Build the release, if there is anything to build."""
    command = run.settings.build
    if command is None and (run.release.path / BUILD_SCRIPT).is_file():
        command = [f"./{BUILD_SCRIPT}"]
    if command:
        with run.step("build"):
            run.command(command)


def migrate(run: Run[S]) -> None:
    """Migrate the database, if there is anything to migrate."""
    if run.settings.migrate is not None:
        with run.step("migrate", repeatable=False):
            run.command(run.settings.migrate)


def install_steps(settings: InstallSettings, files: Collection[str]) -> list[str]:
    """Return the names of the steps that prepare a release with these files, and activate it."""
    builds = settings.build if settings.build is not None else BUILD_SCRIPT in files
    taken = {"build": builds, "migrate": settings.migrate, "activate": True}
    return [name for name, is_taken in taken.items() if is_taken]


def roll_back(run: Run[S], to: Release) -> None:
    """Activate an earlier release; its files are as they were built, unless it is deployed in place."""
    if run.settings.migrate is not None:
        with run.step("keep_migrations"):
            run.note("migrations are not undone: the database stays as the newer release left it")
    run.activate(to)
    if run.in_place:
        build(run)

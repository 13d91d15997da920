"""What a fraise type's tests say of it, and the runs that are made of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fraisier_core.plugins import DEPLOYERS, Deployer, Plugins
from fraisier_core.release import Release
from fraisier_core.testing.fake_run import FakeRun
from fraisier_core.testing.installation import Installation
from fraisier_core.testing.skipping import not_for_this_type

Section = Mapping[str, object]


class DeployerReleases:
    """What of `DeployerConformance` takes from a fraise type's tests; its methods are explained there."""

    plugin: ModuleType
    lasting: float = 10.0
    """For how many seconds a command goes on that a test wants ended."""

    def working(self, release: Path) -> Section:
        """Write a release that can be deployed, and return its environment's section.

        Args:
            release: the release's empty directory; the section need not say `app_path`.
        """
        raise NotImplementedError

    def failing(self, release: Path) -> Section:
        """Write a release of which a step fails before it is activated, and return its environment's section.

        Args:
            release: as in `working`.
        """
        raise NotImplementedError

    def failing_late(self, release: Path) -> Section | None:
        """Write a release of which a step fails after another changed what runs, and return its section.

        None if this type changes what runs by `run.activate()` alone.

        Args:
            release: as in `working`.
        """
        raise NotImplementedError

    def running(self, release: Path, script: str) -> Section | None:
        """Write a release of which a command runs a shell script before it is activated, and return its
        environment's section.

        None if this type runs no commands before activation.

        Args:
            release: as in `working`.
            script: for `sh`.
        """
        raise NotImplementedError

    def job(self, release: Path, script: str) -> Section:
        """Write a release whose job runs a shell script with the arguments of the run, and return its
        environment's section. Only for a type that has `run_job`.

        Args:
            release: as in `working`.
            script: for `sh`.
        """
        raise NotImplementedError

    @pytest.fixture
    def deployer(self) -> Deployer:
        """The plugin under test, loaded as the application loads it."""
        entry_point = EntryPoint("conforming", self.plugin.__name__, DEPLOYERS.group)
        return Plugins([entry_point]).deployer(entry_point.name)

    @pytest.fixture
    def installation(self, tmp_path: Path) -> Installation:
        """An environment of this type, to which nothing is deployed."""
        return Installation(tmp_path, self.plugin.__name__)

    def require_jobs(self) -> None:
        """Skip a test of jobs if the type has none."""
        if not hasattr(self.plugin, "run_job"):
            not_for_this_type("it has no jobs")

    def running_script(self, script: str) -> Callable[[Path], Section | None]:
        """Return what writes a release that runs a script before it is activated."""
        return lambda release: self.running(release, script)

    def lasting_script(self, folder: Path) -> str:
        """Return a script that leaves a process that breaks away from it, says in a folder that it has begun
        and, if it was let, that it has ended; where it had begun before, it does nothing.
        """
        lasts = f"(setsid sleep {self.lasting} &); touch {folder}/begun; sleep {self.lasting}"
        return f"test -e {folder}/begun || {{ {lasts}; touch {folder}/ended; }}"

    def run_of(
        self, deployer: Deployer, folder: Path, name: str, section: Section | None = None, **more: object
    ) -> FakeRun[Any]:
        """Return a run of the release of that name, by default one that works."""
        path = directory(folder, name)
        section = self.working(path) if section is None else section
        keys = {**section, "app_path": folder / "app", **more}
        return FakeRun(deployer.settings_model.model_validate(keys), Release(name, path, name * 40))


def directory(folder: Path, release: str) -> Path:
    """Return the directory of a release, made if it is missing."""
    path = folder / "releases" / release
    path.mkdir(parents=True, exist_ok=True)
    return path


def assert_serving(run: FakeRun[Any], release: Release) -> None:
    """Assert that a run activated a release last, and that the link leads there."""
    assert run.activations[-1:] == [release]
    assert run.settings.app_path.resolve() == release.path.resolve()

"""The simulated machine: its processes, and what each environment serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fraisier_core.engine.workspace import Workspace
from fraisier_core.errors import StepFailedError
from fraisier_core.git.mirrors import Mirror
from fraisier_core.health import Health
from fraisier_core.plugins import Deployer
from fraisier_core.release import Release
from fraisier_core.run import Run
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity

from tests.model.history import History


@dataclass(slots=True)
class Machine:
    """What no process knows of itself: which processes live."""

    alive: set[ProcessIdentity] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class SimulatedHost(Host):
    """A boot of a machine."""

    machine: Machine = field(default_factory=Machine)

    def seconds(self) -> float:
        return 0.0  # time passes as the model says, for leases alone

    def is_alive(self, boot: str, process: ProcessIdentity) -> bool:
        return boot == self.boot_id and process in self.machine.alive


@dataclass(slots=True)
class Server:
    """What lies on the disk of an environment, and what it runs.

    Args:
        environment: its name.
        in_place: whether its `app_path` is a clone.
        migrates: whether its deployments have a step that cannot be repeated.
        history: the repository.
        releases: the complete releases, by name.
        active: the release that `app_path` points to.
        running: the release that the service runs.
    """

    environment: str
    in_place: bool
    migrates: bool
    history: History
    releases: dict[str, Release] = field(default_factory=dict)
    active: str | None = None
    running: str | None = None

    def release(self, name: str | None) -> Release | None:
        """Return a complete release; of a clone, every commit is one."""
        if self.in_place:
            return _release(name, name) if name else None
        return self.releases.get(name or "")


class SimulatedWorkspace(Workspace):
    """The workspace of a server, as one process sees it."""

    def __init__(self, server: Server, pause: Callable[[], None]) -> None:
        self.in_place = server.in_place
        self._server = server
        self._pause = pause

    def prepare(self, name: str, commit: str, mirror: Mirror) -> Release:
        self._pause()
        release = _release(commit if self.in_place else name, commit)
        self._server.releases[release.name] = release
        return release

    def activate(self, release: Release, deployment_id: str) -> list[str]:
        self._pause()
        assert self._server.release(release.name) is not None
        self._server.active = release.name
        return []

    def withdraw(self) -> None:
        self._pause()
        if not self.in_place:
            self._server.active = None

    def get(self, name: str) -> Release | None:
        return self._server.release(name)

    def current(self) -> str | None:
        return self._server.active

    def tidy(self, keep: int, healthy: Sequence[str], protected: set[str]) -> None:
        self._pause()
        releases = self._server.releases
        ordered = list(dict.fromkeys(name for name in healthy if name in releases))
        ordered += [name for name in releases if name not in ordered]
        for name in ordered[keep:]:
            if name not in protected and name != self._server.active:
                del releases[name]

    def discard(self) -> None:
        pass


class SimulatedDeployer(Deployer):
    """A fraise type whose steps fail as the history says."""

    def __init__(self, server: Server, pause: Callable[[], None]) -> None:
        self.name = "simulated"
        self._server = server
        self._pause = pause

    def call(self, hook: str, run: Run[Any], release: Release) -> None:
        if hook == "run_job":
            self._run_job(run)
            return
        with run.step("build"):
            self._do("build", run)
        if self._server.migrates and hook == "deploy":
            with run.step("migrate", repeatable=False):
                self._do("migrate", run)
        run.activate()
        with run.step("restart"):
            self._do("restart", run)
            self._server.running = run.release.name

    def _run_job(self, run: Run[Any]) -> None:
        with run.step("run", repeatable=not self._server.migrates):
            for _ in range(3):
                self._do("run", run)
                assert self._server.release(run.release.name) is not None, "a run keeps its release"

    def watch(self, run: Run[Any]) -> None:
        """Watch nothing."""

    def health_check(self, run: Run[Any]) -> Health:
        self._pause()
        healthy = self._server.history.faults.get(run.commit_sha) != "verify"
        return Health(healthy and self._server.running == run.release.name, "probed")

    def _do(self, step: str, run: Run[EnvironmentSettings]) -> None:
        self._pause()
        if self._server.history.faults.get(run.commit_sha) == step:
            raise StepFailedError(f"{step} fails")


def _release(name: str, commit: str) -> Release:
    return Release(name, Path("/nowhere") / name, commit)

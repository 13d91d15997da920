"""What a deployer is given: its settings, the release, and the means to activate it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from fraisier_core.errors import StepFailedError
from fraisier_core.health import Health
from fraisier_core.release import Release
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.stored import Stored
from fraisier_core.system.commands import CommandResult
from fraisier_core.system.environment import clean_environment

S = TypeVar("S", bound=EnvironmentSettings)
Argument = str | os.PathLike[str]
ENGINE_STEPS = frozenset({"fetch", "checkout", "activate", "verify", "units", "backup_before", "retry"})
"""Recovery tells by these how far a deployment came: no deployer gives their names to its own steps."""


@dataclass(eq=False, repr=False)
class Run(ABC, Generic[S]):
    """One deployment under way, as its deployer sees it.

    Args:
        fraise: the fraise's name.
        environment: the environment's name.
        settings: the environment's section, validated by the type's own model.
        release: the release to deploy, checked out and complete. A backup has none: its name and commit are
            empty, and its path is a folder of the environment's own, in which commands run.
        previous: the release that was active before, None if there is none; in a rollback, the one that is
            rolled back from.
        arguments: of the job, if this is a run of one.
        deployment_id: its id in the record.
        requested_for: the id of the deployment that requested this one, None if none did.
        newest_stored: in a restore test, what the newest backup of the environment stored by the record, None
            if it knows of none.
        in_place: whether `release.path` is `app_path` itself, a clone that already holds the new commit.
        folder: one of the environment's own that stays between runs: `BackupContext.folder` is the same. It
            need not be there.
    """

    fraise: str
    environment: str
    settings: S
    release: Release
    previous: Release | None
    in_place: bool = field(kw_only=True)
    arguments: tuple[str, ...] = field(default=(), kw_only=True)
    deployment_id: str = field(kw_only=True)
    requested_for: str | None = field(default=None, kw_only=True)
    newest_stored: Stored | None = field(default=None, kw_only=True)
    folder: Path = field(kw_only=True)

    @property
    def commit_sha(self) -> str:
        """The full id of the commit of `release`."""
        return self.release.commit_sha

    def command_environment(self) -> dict[str, str]:
        """Return the environment of every command: a clean one, `env:`, and which release this is."""
        facts = {
            "FRAISIER_FRAISE": self.fraise,
            "FRAISIER_ENVIRONMENT": self.environment,
        }
        if self.release.name:
            facts |= {"FRAISIER_COMMIT": self.release.commit_sha, "FRAISIER_RELEASE": self.release.name}
        return clean_environment(self.settings.env | facts)

    @abstractmethod
    def step(self, name: str, *, repeatable: bool = True) -> AbstractContextManager[None]:
        """Record what the block does as a step with its times, output and outcome; steps do not nest.

        Args:
            name: what it does, such as `build`; none of `ENGINE_STEPS`.
            repeatable: whether it may run again after it was interrupted. Once a step that may not has begun,
                an interrupted deployment waits for a user's decision. In a run of a job, `retries:` says it.
        """

    @abstractmethod
    def command(
        self,
        argv: Sequence[Argument],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        leave_running: bool = False,
        check: bool = True,
    ) -> CommandResult:
        """Run a command; its output belongs to the step under way, or to one named after it.

        Args:
            argv: the program and its arguments; no shell reads them.
            cwd: where it runs, by default the release.
            env: variables beside the clean environment and the environment's own `env:`.
            leave_running: whether processes it leaves behind may live on, as when it starts a daemon;
                otherwise they are ended with it.
            check: whether another exit status than 0 is a failure.

        Returns its exit status and the last lines that it printed, which are not redacted. Raises
        `CommandFailedError` if it fails, cannot be started or exceeds the time limits.
        """

    @abstractmethod
    def note(self, text: str) -> None:
        """Add a line to the output of the step under way."""

    @abstractmethod
    def activate(self, release: Release | None = None) -> None:
        """Activate a release, in a step named `activate`: from here on, what runs may have changed.

        A deployment that fails before leaves what runs alone; one that fails after is rolled back. `app_path`
        points to the release from here on; without `app_path`, nothing is switched. In place, the engine
        activates by its check-out, before any hook is called, and this changes nothing.

        Args:
            release: by default the one being deployed.
        """

    @abstractmethod
    def record_stored(self, stored: Stored) -> None:
        """Record what a backup stored, once every copy of it is verified; what is recorded last counts.

        A backup that does not call it fails; what fails after it is a problem of a backup that succeeds. A
        restore test calls it with the copy that it restored and found to be good, which counts as verified.
        """

    @abstractmethod
    def probe(self) -> Health:
        """Run one probe as `health_check:` says; healthy if it is not configured."""


def require_own_step(name: str) -> None:
    """Raise `StepFailedError` if a step has the name of one of the engine."""
    if name in ENGINE_STEPS:
        raise StepFailedError(f"{name!r} is a step of the engine: name this one differently")

"""A claimed deployment under way: where it takes place, and what has become of it."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb, format_exception

import pluggy

from fraisier_core.config import ResolvedEnvironment
from fraisier_core.config.fraise import BackupBefore
from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.recorder import Recorder
from fraisier_core.engine.shared import SharedFiles
from fraisier_core.engine.workspace import Workspace, open_workspace
from fraisier_core.errors import FraisierError, InterruptedRunError, StepFailedError, StoreError
from fraisier_core.git.mirrors import Mirror
from fraisier_core.job_settings import JobSettings, RetriesSection
from fraisier_core.plugins import Deployer, Plugins
from fraisier_core.release import Release
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.store.events import Event
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, Request
from fraisier_core.store.vocabulary import KINDS, Ending
from fraisier_core.system.commands import Limits
from fraisier_core.system.failpoints import failpoint

logger = logging.getLogger(__name__)

_CALLERS = (str(Path(__file__).parents[1]), *pluggy.__path__)


@dataclass(frozen=True, slots=True)
class DeploymentContext:
    """Everything that a deployment works with, looked up once."""

    fraise: str
    environment: str
    settings: EnvironmentSettings
    deployer: Deployer
    mirror: Mirror
    workspace: Workspace
    config: Path
    state_dir: Path
    work: Path
    describe: bool = False
    backup_before: BackupBefore | None = None

    def facts(self, release: Release) -> dict[str, str]:
        """Return the variables that commands get beside those of every run."""
        if not self.describe or not release.commit_sha:
            return {}
        with suppress(StepFailedError):  # the commit of an old release may be gone
            return {"FRAISIER_DESCRIBE": self.mirror.describe(release.commit_sha)}
        return {}


@dataclass(frozen=True, slots=True)
class Execution:
    """One deployment while its process executes it; the recorder follows it."""

    context: DeploymentContext
    store: Store
    recorder: Recorder
    cancellation: CancellationToken

    @property
    def deployment(self) -> Deployment:
        """The deployment as its events leave it."""
        return self.recorder.deployment

    @property
    def retries(self) -> RetriesSection | None:
        """How often this is tried again if it fails, None if it is no run of a job."""
        settings = self.context.settings
        if KINDS[self.deployment.kind].job and isinstance(settings, JobSettings):
            return settings.retries
        return None

    def existing(self, name: str | None) -> Release | None:
        """Return the release of that name, or None if there is none."""
        return self.context.workspace.get(name) if name else None

    def activate(self, release: Release) -> None:
        """Activate a release. The event comes first: it is refused if the lease was taken over."""
        previous = self.context.workspace.current()
        self.recorder.append(Event("activation_started", release=release.name, previous_release=previous))
        failpoint("before_activate")
        for replaced in self.context.workspace.activate(release, self.deployment.id):
            self.recorder.note(replaced)
        failpoint("after_activate")

    def end(self, ending: Ending, message: str, *events: Event, follow_up: Request | None = None) -> None:
        """End the deployment; `events` come before, and `follow_up` is requested, in the same transaction."""
        self.recorder.end(ending, self.concluded(message), *events, follow_up=follow_up)
        if follow_up is not None:
            self.store.wake()

    def concluded(self, message: str) -> str:
        """Return the last message of a deployment, with what there is to say of what it replaced."""
        if not self.deployment.activation_started:
            return message
        try:
            return "; ".join([message, *self.context.workspace.leave(self.deployment.id)])
        except StepFailedError as error:  # it has ended all the same
            return f"{message}; what changed in {self.context.settings.app_path} is unknown: {error}"

    def caught(self, error: Exception) -> str:
        """Return what an error says; what a plugin raised is logged whole, without secrets. Raises again what
        recovery goes on after: `StoreError` and `InterruptedRunError`.
        """
        if isinstance(error, (StoreError, InterruptedRunError)):
            raise error
        if isinstance(error, FraisierError):
            return str(error).rstrip(".")
        logger.error("a plugin raised:\n%s", self.recorder.redacted("".join(format_exception(error))))
        return raised(error)


def raised(error: Exception) -> str:
    """Return what an exception that a plugin raised says, and the place in the plugin."""
    frames = [each for each in extract_tb(error.__traceback__) if not each.filename.startswith(_CALLERS)]
    places = [each for each in frames if each.filename == frames[0].filename]
    place = f" ({places[-1].filename}, line {places[-1].lineno})" if places else ""
    return f"{type(error).__name__}: {str(error).rstrip('.')}{place}"


def open_context(
    resolved: ResolvedEnvironment, plugins: Plugins, cancellation: CancellationToken
) -> DeploymentContext:
    """Look up everything, before anything is changed. Raises `PluginError` or `StepFailedError`."""
    deployer = plugins.deployer(resolved.type)
    settings = deployer.settings_model.model_validate(resolved.section)
    limits = Limits(settings.timeout, settings.silence_timeout)
    mirror = Mirror.in_folder(
        resolved.mirrors,
        resolved.repository or str(resolved.work),  # of a type that is not deployed, and fetches nothing
        cancellation.event,
        access=resolved.access,
        contents=resolved.contents,
        limits=limits,
    )
    shared = SharedFiles(resolved.shared, settings.shared)
    workspace = open_workspace(resolved.releases, settings.app_path, mirror, shared)
    names = (resolved.fraise, resolved.environment)
    files = (resolved.config, resolved.state_dir, resolved.work)
    known = (resolved.describe, resolved.backup_before)
    return DeploymentContext(*names, settings, deployer, mirror, workspace, *files, *known)

"""Where a deployment takes place: its environment, its plugin, its mirror and its releases."""

from __future__ import annotations

from dataclasses import dataclass

from fraisier_core.config import ResolvedEnvironment
from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.workspace import Workspace, open_workspace
from fraisier_core.git.mirrors import Mirror
from fraisier_core.plugins import Deployer, Plugins
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.system.commands import Limits


@dataclass(frozen=True, slots=True)
class DeploymentContext:
    """Everything that a deployment works with, looked up once."""

    fraise: str
    environment: str
    settings: EnvironmentSettings
    deployer: Deployer
    mirror: Mirror
    workspace: Workspace

    @property
    def name(self) -> str:
        """Both names, as people say them."""
        return f"{self.fraise} {self.environment}"


def open_context(
    resolved: ResolvedEnvironment, plugins: Plugins, cancellation: CancellationToken
) -> DeploymentContext:
    """Look up everything, before anything is changed. Raises `PluginError` or `StepFailedError`."""
    deployer = plugins.deployer(resolved.type)
    settings = deployer.settings_model.model_validate(resolved.section)
    limits = Limits(settings.timeout, settings.silence_timeout)
    mirrors = resolved.state_dir / "mirrors"
    mirror = Mirror.in_folder(mirrors, resolved.repository, cancellation.event, limits)
    workspace = open_workspace(resolved.releases, settings.app_path, mirror)
    return DeploymentContext(resolved.fraise, resolved.environment, settings, deployer, mirror, workspace)

"""Where a deployment takes place: its environment, its plugin, its mirror and its releases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fraisier_core.config import Config
from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.workspace import Workspace, open_workspace
from fraisier_core.errors import ConfigurationError
from fraisier_core.git.mirrors import Mirror
from fraisier_core.plugins import Deployer, Plugins
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.system.commands import Limits


@dataclass(frozen=True, slots=True)
class DeploymentContext:
    """Everything that a deployment works with, looked up once.

    Args:
        fraise: the fraise's name.
        environment: the environment's name.
        settings: the environment's section.
        deployer: the plugin of the fraise type.
        mirror: the mirror of the repository.
        workspace: where the releases live.
    """

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
    config: Config, plugins: Plugins, fraise: str, environment: str, cancellation: CancellationToken
) -> DeploymentContext:
    """Look up everything about an environment.

    Raises `UnknownNameError`, `ConfigurationError`, `PluginError` or `StepFailedError`, each before anything
    is changed.
    """
    found = config.environment(fraise, environment)
    if found.repository.url is None:
        raise ConfigurationError([f"{config.path}: fraises.{fraise}: {found.repository.unknown}"])
    deployer = plugins.deployer(config.fraise(fraise).type)
    limits = Limits(found.settings.timeout, found.settings.silence_timeout)
    mirror = Mirror.in_folder(config.state_dir / "mirrors", found.repository.url, cancellation.event, limits)
    root = releases_root(config, fraise, environment)
    workspace = open_workspace(root, found.settings.app_path, mirror)
    return DeploymentContext(fraise, environment, found.settings, deployer, mirror, workspace)


def releases_root(config: Config, fraise: str, environment: str) -> Path:
    """Return the folder in which the releases of an environment lie side by side."""
    return config.state_dir / "releases" / fraise / environment

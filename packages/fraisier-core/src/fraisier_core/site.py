"""Where a deployment takes place: its environment, its plugin, its mirror and its releases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fraisier_core.config import Config
from fraisier_core.errors import ConfigurationError
from fraisier_core.git import Mirror
from fraisier_core.plugins import Deployer
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.stop import Stop
from fraisier_core.workspace import Workspace, open_workspace


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that a deployment works with, looked up once.

    Args:
        fraise: the fraise's name.
        environment: the environment's name.
        settings: the environment's section.
        deployer: the plugin of the fraise type.
        mirror: the mirror of the repository.
        workspace: where the releases live.
        config: what it was looked up in.
    """

    fraise: str
    environment: str
    settings: EnvironmentSettings
    deployer: Deployer
    mirror: Mirror
    workspace: Workspace
    config: Config

    @property
    def name(self) -> str:
        """Both names, as people say them."""
        return f"{self.fraise} {self.environment}"

    def paths(self, branch: str | None) -> tuple[str, ...]:
        """Return the `paths:` of the mapping that leads from `branch` here; empty: everything counts."""
        return self.config.mapped_paths(self.fraise, self.environment, branch)


def open_site(config: Config, fraise: str, environment: str, stop: Stop) -> Site:
    """Look up everything about an environment.

    Raises `UnknownNameError`, `ConfigurationError`, `PluginError` or `StepFailedError`, each before anything
    is changed.
    """
    found = config.environment(fraise, environment)
    config.require("fraises", fraise)
    repository = config.fraise(fraise).repository
    if repository is None:
        msg = f"{config.path}: fraises.{fraise}: no `repository:`, and no clone at app_path says whose it is"
        raise ConfigurationError([msg])
    deployer = config.deployer(fraise)
    mirror = Mirror.in_folder(config.state_dir / "mirrors", repository, stop.event)
    root = releases_root(config, fraise, environment)
    workspace = open_workspace(root, found.settings.app_path, mirror)
    return Site(fraise, environment, found.settings, deployer, mirror, workspace, config)


def releases_root(config: Config, fraise: str, environment: str) -> Path:
    """Return the folder in which the releases of an environment lie side by side."""
    return config.state_dir / "releases" / fraise / environment

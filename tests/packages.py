"""Throwaway plugin packages: real distributions in a folder of the test's own."""

from __future__ import annotations

import textwrap
from collections.abc import Collection
from importlib import metadata
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

from fraisier_core.plugins import DEPLOYERS, PROVIDERS, STORES, Plugins

PROVIDER = """
from fraisier_core.markers import hookimpl
from fraisier_core.push import Ignored, Verified

@hookimpl
def verify(headers, body, secrets, now):
    return Verified(0) if headers.get("x-token") in secrets else None

@hookimpl
def normalize(headers, body):
    return Ignored(__name__, "only a test")
"""

DEPLOYER = """
from fraisier_core.health import Health
from fraisier_core.markers import hookimpl
from fraisier_core.settings import EnvironmentSettings

class Settings(EnvironmentSettings):
    systemd_service: str | None = None

@hookimpl
def settings():
    return Settings

@hookimpl
def deploy(run):
    pass

@hookimpl
def health_check(run):
    return Health(True, __name__)
"""


class PackageFolder:
    """A folder in which packages with plugins are installed.

    Args:
        folder: on `sys.path`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def provider(self, name: str, source: str = PROVIDER, **options: str) -> None:
        """Install a provider; the options are those of `install`."""
        self.install(PROVIDERS.group, name, source, **options)

    def deployer(self, name: str, source: str = DEPLOYER, **options: str) -> None:
        """Install a fraise type; the options are those of `install`."""
        self.install(DEPLOYERS.group, name, source, **options)

    def install(
        self, group: str, name: str, source: str, *, distribution: str = "", module: str = ""
    ) -> None:
        """Install a package with one module, `acme-NAME` and `acme_NAME` unless told otherwise."""
        distribution = distribution or f"acme-{name}"
        module = module or f"acme_{name}"
        (self.folder / f"{module}.py").write_text(textwrap.dedent(source))
        info = self.folder / f"{distribution.replace('-', '_')}-2.1.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.1\n")
        with (info / "entry_points.txt").open("a") as file:
            file.write(f"[{group}]\n{name} = {module}\n")

    def entry_points(self) -> list[EntryPoint]:
        """Return what the packages in the folder offer, and the core's store."""
        found = Distribution.discover(path=[str(self.folder)])
        here = [entry_point for distribution in found for entry_point in distribution.entry_points]
        return [*here, *metadata.entry_points(group=STORES.group, name="sqlite")]

    def plugins(self, disabled: Collection[str] = ()) -> Plugins:
        """Return a loader of the installed packages."""
        return Plugins(self.entry_points(), disabled)

"""The entry-point groups: a new kind of plugin is a row here, and a typed class in `installed`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires

from fraisier_core.hookspecs import DeployerHooks, MountHooks, ObserverHooks, ProviderHooks, StoreHooks
from fraisier_core.job_settings import BackupJobSettings, JobSettings
from fraisier_core.provider_settings import ProviderSettings
from fraisier_core.settings import EnvironmentSettings, MountSettings, ObserverSettings, Section


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """What the plugins of one entry-point group have in common. `noun` is what messages call one of them; the
    model that `settings()` returns extends `model`, or that of a hook of the plugin in `models`. The
    hook `instead` replaces those that are `required` in a plugin that has none of them.
    """

    group: str
    noun: str
    specs: type
    model: type[Section]
    required: Collection[str]
    models: Mapping[str, type[Section]] = field(default_factory=dict)
    instead: str | None = None

    def model_for(self, hooks: Collection[str]) -> type[Section]:
        """Return what the settings of a plugin with these hooks extend."""
        return next((model for hook, model in self.models.items() if hook in hooks), self.model)

    def required_of(self, hooks: Collection[str]) -> set[str]:
        """Return the hooks that a plugin with these must have."""
        if self.instead in hooks and not {*self.required} & {*hooks}:
            return set()
        return {*self.required}

    def advice(self, name: str) -> str:
        """Return what to do if a plugin of that name is not installed: the extra of the application that has
        the name says which of our packages offers it.
        """
        return offer(name) or f"install the package that offers it (entry-point group {self.group})"


def offer(name: str) -> str | None:
    """Return how to install the package of ours that offers plugins of that name, None if there is none."""
    package = _required_by_extra(name)
    return f"in a checkout of Fraisier, try: pip install ./packages/{package}" if package else None


def _required_by_extra(extra: str) -> str | None:
    with suppress(PackageNotFoundError):
        for requirement in requires("fraisier") or ():
            if match := re.fullmatch(r"([\w-]+).*; extra == ['\"](.+)['\"]", requirement):
                package, name = match.groups()
                if name == extra:
                    return package
    return None


PROVIDERS = GroupSpec(
    "fraisier.providers", "provider", ProviderHooks, ProviderSettings, ("verify", "normalize")
)
DEPLOYERS = GroupSpec(
    "fraisier.deployers",
    "fraise type",
    DeployerHooks,
    EnvironmentSettings,
    ("deploy", "health_check"),
    models={"back_up": BackupJobSettings, "run_job": JobSettings},
    instead="back_up",
)
STORES = GroupSpec("fraisier.stores", "store", StoreHooks, Section, ("open_store",))
OBSERVERS = GroupSpec(
    "fraisier.observers", "observer", ObserverHooks, ObserverSettings, ("deployment_changed",)
)
MOUNTS = GroupSpec("fraisier.mounts", "mount", MountHooks, MountSettings, ("open_mount",))
GROUPS = (PROVIDERS, DEPLOYERS, MOUNTS, STORES, OBSERVERS)

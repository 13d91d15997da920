"""The entry-point groups: a new kind of plugin is a row here, and a typed class in `installed`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from fraisier_core.hookspecs import DeployerHooks, ObserverHooks, ProviderHooks, StoreHooks
from fraisier_core.provider_settings import ProviderSettings
from fraisier_core.settings import EnvironmentSettings, ObserverSettings, Section


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """What the plugins of one entry-point group have in common. `noun` is what messages call one of them; the
    model that `settings()` returns extends `model`; `advice` says what to do if `{name}` of `{group}` is not
    installed.
    """

    group: str
    noun: str
    specs: type
    model: type[Section]
    required: Collection[str]
    advice: str = "install the package that offers it (entry-point group {group})"


PROVIDERS = GroupSpec(
    "fraisier.providers",
    "provider",
    ProviderHooks,
    ProviderSettings,
    required=("verify", "normalize"),
    advice="in a checkout of Fraisier, try: pip install ./packages/fraisier-{name}",
)
DEPLOYERS = GroupSpec(
    "fraisier.deployers", "fraise type", DeployerHooks, EnvironmentSettings, ("deploy", "health_check")
)
STORES = GroupSpec("fraisier.stores", "store", StoreHooks, Section, ("open_store",))
OBSERVERS = GroupSpec(
    "fraisier.observers", "observer", ObserverHooks, ObserverSettings, ("deployment_changed",)
)
GROUPS = (PROVIDERS, DEPLOYERS, STORES, OBSERVERS)

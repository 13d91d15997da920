"""The entry-point groups: a new kind of plugin is a row here, and a typed class in `installed`."""

from __future__ import annotations

from dataclasses import dataclass

from fraisier_core.hookspecs import DeployerHooks, ObserverHooks, ProviderHooks, StoreHooks
from fraisier_core.settings import EnvironmentSettings, ObserverSettings, ProviderSettings, Section


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """What the plugins of one entry-point group have in common.

    Args:
        group: the entry-point group.
        noun: what one of them is called in messages.
        specs: the class that holds the hook specs.
        required: hooks that each of them has.
        model: what the model that `settings()` returns extends.
        broadcast: whether all of them are called, and not only the one that is named.
        advice: what to do if `{name}` is not installed.
    """

    group: str
    noun: str
    specs: type
    required: frozenset[str]
    model: type[Section]
    broadcast: bool
    advice: str


PROVIDERS = GroupSpec(
    group="fraisier.providers",
    noun="provider",
    specs=ProviderHooks,
    required=frozenset({"verify", "normalize"}),
    model=ProviderSettings,
    broadcast=False,
    advice="try: pip install fraisier-{name}",
)
DEPLOYERS = GroupSpec(
    group="fraisier.deployers",
    noun="fraise type",
    specs=DeployerHooks,
    required=frozenset({"deploy", "health_check"}),
    model=EnvironmentSettings,
    broadcast=False,
    advice="install the package that offers it (entry-point group fraisier.deployers)",
)
STORES = GroupSpec(
    group="fraisier.stores",
    noun="store",
    specs=StoreHooks,
    required=frozenset({"open_store"}),
    model=Section,
    broadcast=False,
    advice="install the package that offers it (entry-point group fraisier.stores)",
)
OBSERVERS = GroupSpec(
    group="fraisier.observers",
    noun="observer",
    specs=ObserverHooks,
    required=frozenset({"deployment_changed"}),
    model=ObserverSettings,
    broadcast=True,
    advice="install the package that offers it (entry-point group fraisier.observers)",
)
GROUPS = (PROVIDERS, DEPLOYERS, STORES, OBSERVERS)

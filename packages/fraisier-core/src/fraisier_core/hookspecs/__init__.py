"""The hook specs: every hook that a plugin can implement, with its arguments.

A plugin is a module whose functions carry `@hookimpl` and are named as the hooks here. It is found through
an entry point; `plugins.groups` lists the groups, and what the name of an entry point means in each. A hook
is called on exactly the one plugin that is named; only observers all hear of everything.
"""

from fraisier_core.hookspecs.deployer_hooks import DeployerHooks
from fraisier_core.hookspecs.mount_hooks import MountHooks
from fraisier_core.hookspecs.observer_hooks import ObserverHooks
from fraisier_core.hookspecs.provider_hooks import ProviderHooks
from fraisier_core.hookspecs.store_hooks import StoreHooks

__all__ = ["DeployerHooks", "MountHooks", "ObserverHooks", "ProviderHooks", "StoreHooks"]

"""Plugins: found through entry points, loaded when they are named, called one at a time."""

from fraisier_core.plugins.groups import DEPLOYERS, GROUPS, MOUNTS, OBSERVERS, PROVIDERS, STORES
from fraisier_core.plugins.installed import Deployer, Mount, Observer, Plugins, Provider
from fraisier_core.plugins.loader import PluginReport

__all__ = [
    "DEPLOYERS",
    "GROUPS",
    "MOUNTS",
    "OBSERVERS",
    "PROVIDERS",
    "STORES",
    "Deployer",
    "Mount",
    "Observer",
    "PluginReport",
    "Plugins",
    "Provider",
]

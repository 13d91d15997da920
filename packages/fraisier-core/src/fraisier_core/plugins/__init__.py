"""Plugins: found through entry points, loaded when they are named, called one at a time."""

from fraisier_core.plugins.groups import DEPLOYERS, GROUPS, OBSERVERS, PROVIDERS, STORES
from fraisier_core.plugins.installed import Deployer, Observer, Plugins, Provider
from fraisier_core.plugins.loader import PluginReport

__all__ = [
    "DEPLOYERS",
    "GROUPS",
    "OBSERVERS",
    "PROVIDERS",
    "STORES",
    "Deployer",
    "Observer",
    "PluginReport",
    "Plugins",
    "Provider",
]

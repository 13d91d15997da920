"""Plugins: found through entry points, loaded when they are named, called one at a time."""

from fraisier_core.plugins.groups import DEPLOYERS, GROUPS, OBSERVERS, PROVIDERS, STORES
from fraisier_core.plugins.loader import PluginReport
from fraisier_core.plugins.plugins import Deployer, Observer, Plugins, Provider

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

"""Plugins: found through entry points, loaded when they are named, called one at a time."""

from fraisier_core.plugins.loader import PluginReport
from fraisier_core.plugins.plugins import DEPLOYERS, PROVIDERS, Deployer, Plugins, Provider

__all__ = ["DEPLOYERS", "PROVIDERS", "Deployer", "PluginReport", "Plugins", "Provider"]

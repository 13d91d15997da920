"""The core of Fraisier: hook specs, configuration, store and engine.

Plugins import from here and from `fraisier_core.testing` alone.
"""

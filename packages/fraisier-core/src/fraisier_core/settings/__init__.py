"""What every section of `fraises.yaml` is, and those of environments and observers, which plugins extend."""

from fraisier_core.settings.environment_settings import EnvironmentSettings
from fraisier_core.settings.health_settings import COMMIT_PLACEHOLDER, ESCAPED, Expectation, HealthCheck
from fraisier_core.settings.plugin_settings import MountSettings, ObserverSettings
from fraisier_core.settings.push_settings import Freezes, FreezeSection, ReconcileSection
from fraisier_core.settings.section import AsList, NonEmptySecret, Notify, ReleasePath, Section
from fraisier_core.settings.shared_paths import SharedPath

__all__ = [
    "COMMIT_PLACEHOLDER",
    "ESCAPED",
    "AsList",
    "EnvironmentSettings",
    "Expectation",
    "FreezeSection",
    "Freezes",
    "HealthCheck",
    "MountSettings",
    "NonEmptySecret",
    "Notify",
    "ObserverSettings",
    "ReconcileSection",
    "ReleasePath",
    "Section",
    "SharedPath",
]

"""The section of each observer, under the observer's own name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fraisier_core.config.resolved import long_secrets
from fraisier_core.config.sections import ConfigReader
from fraisier_core.errors import PluginError
from fraisier_core.plugins import Plugins
from fraisier_core.settings import ObserverSettings


@dataclass(frozen=True, slots=True)
class ObserversConfig:
    """The installed observers.

    Args:
        active: the settings of each that is told of events, by name.
        missing: why one that has a section cannot be told, by name.
        secrets: what must be redacted in their messages.
    """

    active: Mapping[str, ObserverSettings] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = field(default_factory=frozenset, repr=False)


def read_observers(reader: ConfigReader, plugins: Plugins, names: Collection[str]) -> ObserversConfig:
    """Return which of the installed observers are active: those with a section, and those that need none.

    What is wrong with a section is refused.
    """
    active: dict[str, ObserverSettings] = {}
    missing: dict[str, str] = {}
    sections = reader.mapping((), "sections")
    for name in names:
        try:
            model = plugins.observer(name).settings_model
        except PluginError as error:
            missing |= {name: str(error)} if name in sections else {}
            continue
        if name in sections or not any(key.is_required() for key in model.model_fields.values()):
            _read_observer(reader, name, model, active, missing)
    secrets = reader.secrets_at(*((name,) for name in names)) | long_secrets(active)
    return ObserversConfig(active, missing, secrets)


def _read_observer(
    reader: ConfigReader,
    name: str,
    model: type[ObserverSettings],
    active: dict[str, ObserverSettings],
    missing: dict[str, str],
) -> None:
    settings = reader.read(model, (name,), reader.known((name,)))
    if unset := reader.unset_under((name,)):
        missing[name] = unset[0]
    elif settings is not None:
        active[name] = settings

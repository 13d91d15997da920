"""The sections of plugins that are no fraise types: `git:` with its providers, and each observer's own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from fraisier_core.config.fraise import check_name
from fraisier_core.config.sections import ConfigReader, long_secrets
from fraisier_core.errors import PluginError
from fraisier_core.plugins import Plugins
from fraisier_core.settings import ObserverSettings, ProviderSettings
from fraisier_core.text.suggestions import hint, listing


@dataclass(frozen=True, slots=True)
class GitConfig:
    """The providers that can be used, the one that `/webhook` means, and why others are missing."""

    default: str | None = None
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def read_git(reader: ConfigReader, plugins: Plugins, *, with_secrets: bool) -> GitConfig:
    """Return the configured providers; without `with_secrets` only names are read."""
    sections = reader.mapping(("git",), "providers")
    names = [name for name in sections if name != "provider"]
    git = GitConfig(_default(reader, names))
    for name in names:
        check_name(reader, ("git", name))
        reader.mapping(("git", name), "settings")
        if with_secrets and isinstance(sections[name] or {}, dict):
            _read_provider(reader, plugins, name, git)
    return git


def _read_provider(reader: ConfigReader, plugins: Plugins, name: str, git: GitConfig) -> None:
    try:
        model = plugins.provider(name).settings_model
    except PluginError as error:
        git.missing[name] = str(error)
        return
    keys = ("git", name)
    settings = reader.read(model, keys, reader.known(keys), secret=True)
    if settings is not None and not reader.unset_under(keys):
        git.providers[name] = settings


def _default(reader: ConfigReader, names: list[str]) -> str | None:
    keys = ("git", "provider")
    name = reader.value(keys)
    if name is None or reader.unset_under(keys):
        return None
    if isinstance(name, str) and name in names:
        return name
    if not isinstance(name, str):
        reader.refuse(keys, "should be the name of a provider")
    elif "${" not in name:
        known = f"(sections: {listing(names)})"
        reader.refuse(keys, f'"{name}" has no section under git{hint(name, names)} {known}')
    return None


@dataclass(frozen=True, slots=True)
class ObserversConfig:
    """The observers that are told of events, why others are not, and what to redact for them."""

    active: dict[str, ObserverSettings] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def read_observers(reader: ConfigReader, plugins: Plugins, names: Collection[str]) -> ObserversConfig:
    """Return which observers are active: those with a section, and those that need none."""
    observers = ObserversConfig()
    sections = reader.mapping((), "sections")
    for name in names:
        try:
            model = plugins.observer(name).settings_model
        except PluginError as error:
            observers.missing.update({name: str(error)} if name in sections else {})
            continue
        if name in sections or not any(key.is_required() for key in model.model_fields.values()):
            settings = reader.read(model, (name,), reader.known((name,)))
            if unset := reader.unset_under((name,)):
                observers.missing[name] = unset[0]
            elif settings is not None:
                observers.active[name] = settings
    secrets = reader.secrets_at(*((name,) for name in names)) | long_secrets(observers.active)
    return replace(observers, secrets=secrets)

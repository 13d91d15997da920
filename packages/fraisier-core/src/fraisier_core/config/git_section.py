"""`git:`: the providers that may request deployments, and their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fraisier_core.config.fraise import check_name
from fraisier_core.config.sections import ConfigReader
from fraisier_core.errors import PluginError
from fraisier_core.plugins import Plugins
from fraisier_core.settings import ProviderSettings
from fraisier_core.text.suggestions import hint, listing


@dataclass(frozen=True, slots=True)
class GitConfig:
    """The configured providers.

    Args:
        default: the one that `/webhook` means.
        providers: the settings of each that can be used, by name.
        missing: why the plugin of a configured provider cannot be used, by name.
    """

    default: str | None = None
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def read_git(reader: ConfigReader, plugins: Plugins, *, with_secrets: bool) -> GitConfig:
    """Return the configured providers; refuse what is wrong with them.

    Without `with_secrets` only names are read, and no provider is loaded.
    """
    sections = reader.mapping(("git",), "providers")
    names = [name for name in sections if name != "provider"]
    providers: dict[str, ProviderSettings] = {}
    missing: dict[str, str] = {}
    for name in names:
        check_name(reader, ("git", name))
        reader.mapping(("git", name), "settings")
        if with_secrets and isinstance(sections[name] or {}, dict):
            _read_provider(reader, plugins, name, providers, missing)
    return GitConfig(_default(reader, names), providers, missing)


def _read_provider(
    reader: ConfigReader,
    plugins: Plugins,
    name: str,
    providers: dict[str, ProviderSettings],
    missing: dict[str, str],
) -> None:
    try:
        model = plugins.provider(name).settings_model
    except PluginError as error:
        missing[name] = str(error)
        return
    keys = ("git", name)
    settings = reader.read(model, keys, reader.known(keys), secret=True)
    if settings is not None and not reader.unset_under(keys):
        providers[name] = settings


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

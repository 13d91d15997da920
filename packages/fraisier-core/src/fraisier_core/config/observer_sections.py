"""The sections of observers, each below its own name, and what those get that speak to forges."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from fraisier_core.config.fraise import Environment
from fraisier_core.config.plugin_sections import GitConfig
from fraisier_core.config.sections import ConfigReader, long_secrets
from fraisier_core.config.yamlfile import Keys
from fraisier_core.errors import PluginError
from fraisier_core.git.origins import is_on
from fraisier_core.plugins import OBSERVERS, Plugins
from fraisier_core.plugins.groups import offer
from fraisier_core.provider_settings import API_KEYS, ForgeApi, ProviderObserverSettings
from fraisier_core.settings import ObserverSettings

NOTIFYING = "notify"
"""The observer whose section the keys `notify:` and `ping:` are about."""


@dataclass(frozen=True, slots=True)
class ObserversConfig:
    """The observers that are told of events, why others are not, and what to redact for them. `forges` are
    the sections of providers that have an `api_token`, by their names, for each observer that gets some.
    """

    active: dict[str, ObserverSettings] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    forges: dict[str, Mapping[str, ForgeApi]] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def api_keys(document: object) -> list[Keys]:
    """Return the keys of everything below `git:` that observers alone need."""
    return [keys for keys in _git_keys(document) if keys[-1] in API_KEYS]


def secret_keys(document: object) -> list[Keys]:
    """Return the keys of everything below `git:` that no observer needs."""
    return [keys for keys in _git_keys(document) if keys[-1] not in ForgeApi.model_fields]


def _git_keys(document: object) -> list[Keys]:
    git = document.get("git") if isinstance(document, dict) else None
    sections = git.items() if isinstance(git, dict) else ()
    return [("git", name, key) for name, section in sections if isinstance(section, dict) for key in section]


def read_observers(
    reader: ConfigReader,
    plugins: Plugins,
    names: Collection[str],
    git: GitConfig,
    environments: Iterable[Environment],
) -> ObserversConfig:
    """Return which observers are active: those with a section, and those that need none; of those that speak
    to forges, those that have a token for one, and of those that ping, those that have an address.
    """
    observers = ObserversConfig()
    sections = reader.mapping((), "sections")
    for name in names:
        try:
            model = plugins.observer(name).settings_model
        except PluginError as error:
            observers.missing.update({name: str(error)} if name in sections else {})
            continue
        needs_none = not any(key.is_required() for key in model.model_fields.values())
        if issubclass(model, ProviderObserverSettings):
            observers.forges[name] = _forges(reader, name, model.providers, git, observers.missing)
            needs_none = needs_none and bool(observers.forges[name])
        if name == NOTIFYING:
            needs_none = needs_none and any(each.pings for each in environments)
        if name in sections or needs_none:
            _read_section(reader, name, model, observers)
    places = [("git", section, key) for section in git.types for key in API_KEYS]
    secrets = reader.secrets_at(*((name,) for name in names), *places)
    return replace(observers, secrets=secrets | long_secrets(observers.active, observers.forges))


def _read_section(
    reader: ConfigReader, name: str, model: type[ObserverSettings], observers: ObserversConfig
) -> None:
    settings = reader.read(model, (name,), reader.known((name,)))
    if unset := reader.unset_under((name,)):
        observers.missing[name] = unset[0]
    elif settings is not None:
        observers.active[name] = settings


def _forges(
    reader: ConfigReader, observer: str, providers: Collection[str], git: GitConfig, missing: dict[str, str]
) -> dict[str, ForgeApi]:
    """Return the sections of some providers that have a token; a problem of one of them leaves the others."""
    found: dict[str, ForgeApi] = {}
    for name in (name for name, kind in git.types.items() if kind in providers):
        section = reader.mapping(("git", name), "settings")
        if "api_token" not in section:
            continue
        if unset := [problem for key in API_KEYS for problem in reader.unset_under(("git", name, key))]:
            missing[f"{observer} of git.{name}"] = unset[0]
        elif forge := reader.read(ForgeApi, ("git", name), section, secret=True):
            found[name] = forge
    return found


def untold_forges(
    observers: ObserversConfig, environments: Collection[Environment], plugins: Plugins
) -> Iterator[str]:
    """Yield a warning for each forge that is told of nothing, because no repository has an address there."""
    known = {identity for each in environments for identity in each.repository.identities}
    for observer, forges in observers.forges.items():
        model = plugins.observer(observer).settings_model
        if not issubclass(model, ProviderObserverSettings):
            continue
        for section, forge in forges.items():
            hosts = model.hosts_of(forge)
            if hosts and not any(is_on(each, hosts) for each in known):
                where = " or ".join(sorted(hosts))
                yield (
                    f"git.{section}.api_token: no fraise has a repository at {where}, "
                    "so nothing is told there; add the address that it has there to its `aliases:`, "
                    f"or its host to `git.{section}.hosts`"
                )


def unheard_pings(
    reader: ConfigReader, environments: Iterable[Environment], plugins: Plugins
) -> Iterator[str]:
    """Yield a warning for each address to ping if nothing that is installed does so."""
    if NOTIFYING in plugins.names(OBSERVERS):
        return
    for each in environments:
        if each.pings:
            keys = ("fraises", each.fraise, "environments", each.name, "ping")
            advice = offer(NOTIFYING)
            yield reader.message(keys, f"nothing that is installed pings{f'; {advice}' if advice else ''}")

"""The sections of providers, which are below `git:`, and of mounts, each below its own name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from fraisier_core.config.fraises_section import check_name
from fraisier_core.config.sections import ConfigReader
from fraisier_core.config.yamlfile import Keys
from fraisier_core.errors import PluginError
from fraisier_core.git.repository import address_problem
from fraisier_core.plugins import Plugins
from fraisier_core.provider_settings import API_KEYS, Hosts, ProviderSettings
from fraisier_core.settings import MountSettings, Section
from fraisier_core.text.suggestions import hint, listing


@dataclass(frozen=True, slots=True)
class GitConfig:
    """The configured providers that can be used, by the name of their section; the one that `/webhook` means,
    and why others are missing. `types` are the names of their plugins, `hosts` those of their forges: these
    are read even if the secrets are not.
    """

    default: str | None = None
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, frozenset[str]] = field(default_factory=dict)


class _Hosts(Section, extra="ignore"):
    """What of a provider's section is read even if its secrets are not."""

    hosts: Hosts = ()


def read_git(reader: ConfigReader, plugins: Plugins, *, with_secrets: bool, with_api: bool) -> GitConfig:
    """Return the configured providers; without `with_secrets` only names, types and hosts are read, without
    `with_api` nothing that observers alone need.
    """
    sections = reader.mapping(("git",), "providers")
    names = [name for name in sections if name != "provider"]
    git = GitConfig(_default(reader, names))
    for name in names:
        check_name(reader, ("git", name))
        section = reader.mapping(("git", name), "settings")
        git.types[name] = _type(reader, name, section.get("type"))
        git.hosts[name] = _hosts(section)
        if with_secrets and isinstance(sections[name] or {}, dict):
            _read_provider(reader, plugins, name, git, () if with_api else API_KEYS)
    return git


def _type(reader: ConfigReader, name: str, written: object) -> str:
    if written is None:
        return name
    if not isinstance(written, str) or not written:
        reader.refuse(("git", name, "type"), "should be the name of a provider's plugin")
    return str(written)


def _hosts(section: Mapping[str, object]) -> frozenset[str]:
    """Return the hosts, none if they are no hosts, which is refused with everything else."""
    try:
        return frozenset(_Hosts.model_validate(section).hosts)
    except ValidationError:
        return frozenset()


def _read_provider(
    reader: ConfigReader, plugins: Plugins, name: str, git: GitConfig, left: Collection[str]
) -> None:
    keys: Keys = ("git", name)
    section = reader.mapping(keys, "settings")
    if reader.unset_under((*keys, "type")):
        return
    try:
        model = plugins.provider(git.types[name]).settings_model
    except PluginError as error:
        own = "" if "type" in section else "; a section with a name of its own needs `type:`"
        git.missing[name] = f"{error}{own}"
        return
    settings = reader.read(model, keys, reader.known(keys, leave=left), secret=True)
    if settings is not None and not reader.unset_under(keys):
        git.providers[name] = settings
        _check_bounds(reader, name, settings)


def _check_bounds(reader: ConfigReader, name: str, settings: ProviderSettings) -> None:
    """Refuse a secret that is bound to something else than addresses of repositories."""
    for keys, addresses in bound_secrets(reader, name, settings):
        for problem in filter(None, map(address_problem, addresses)):
            reader.refuse(keys, problem)


def bound_secrets(
    reader: ConfigReader, name: str, settings: ProviderSettings
) -> Iterator[tuple[Keys, tuple[str, ...]]]:
    """Yield the addresses of each bound secret of a section, and the keys that they are below."""
    keys: Keys = ("git", name, "webhook_secret")
    is_list = isinstance(reader.value(keys), list)
    for number, addresses in enumerate(settings.bounds()):
        if addresses:
            yield (*keys, *([number] if is_list else []), "repositories"), addresses


def shared_secrets(reader: ConfigReader, git: GitConfig) -> Iterator[str]:
    """Yield a warning for each secret that two sections have: what was delivered to one, and signed, verifies
    for the other as well, and is no repeated delivery there.
    """
    owners: dict[str, str] = {}
    for name, settings in git.providers.items():
        for secret in settings.secrets():
            owner = owners.setdefault(secret, name)
            if owner != name:
                problem = f"has a secret that git.{owner} has as well; give each a secret of its own"
                yield reader.message(("git", name, "webhook_secret"), problem)


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
class MountsConfig:
    """The mounts that have a section, and why some of them cannot be used."""

    settings: dict[str, MountSettings] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def read_mounts(reader: ConfigReader, plugins: Plugins, names: Collection[str]) -> MountsConfig:
    """Return the settings of each mount that has a section; an empty one is enough."""
    mounts = MountsConfig()
    for name in names:
        if name not in reader.mapping((), "sections"):
            continue
        try:
            model = plugins.mount(name).settings_model
        except PluginError as error:
            mounts.missing[name] = str(error)
            continue
        settings = reader.read(model, (name,), reader.known((name,)))
        if unset := reader.unset_under((name,)):
            mounts.missing[name] = unset[0]
        elif settings is not None:
            mounts.settings[name] = settings
    return mounts

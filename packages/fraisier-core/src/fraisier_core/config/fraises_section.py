"""The section `fraises:`, read as far as what is installed can say what belongs in it."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from fraisier_core.config.fraise import Environment, Fraise
from fraisier_core.config.freezes import read_freezes
from fraisier_core.config.reach import REACH, ReachSection
from fraisier_core.config.sections import ConfigReader
from fraisier_core.config.variables import MIN_SECRET_LENGTH
from fraisier_core.config.yamlfile import Keys
from fraisier_core.errors import FraisierError, PluginError, UnsetVariableError
from fraisier_core.git.repository import Repository, address_problem, origin_of
from fraisier_core.plugins import Plugins
from fraisier_core.settings import EnvironmentSettings, Freezes, FreezeSection, Notify

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
NAME_RULE = "a name is 1 to 63 of a-z, 0-9, _ and -, and starts and ends with a letter or digit"


class FraiseSection(ReachSection):
    """A fraise: its `type`, which a plugin offers, a description for people, its environments by name, who is
    notified of these, when what is pushed waits in all of them (`freeze`), and what there is to say about its
    repository.
    """

    type: Annotated[str, Field(min_length=1)]
    description: str = ""
    freeze: Freezes = ()
    environments: Annotated[dict[str, Any], Field(min_length=1)]
    notify: Notify | None = None


def read_fraises(reader: ConfigReader, plugins: Plugins | None) -> dict[str, Fraise]:
    """Return the fraises that are well written; without plugins, what only a type knows is passed over."""
    names, freezes = reader.mapping(("fraises",), "fraises"), read_freezes(reader)
    found = (_read_fraise(reader, plugins, name, freezes) for name in names)
    return {fraise.name: fraise for fraise in found if fraise is not None}


def check_name(reader: ConfigReader, keys: Keys) -> None:
    """Refuse the last of `keys` if it is not a name: it becomes part of paths, units and URLs."""
    if not NAME.fullmatch(str(keys[-1])):
        reader.refuse(keys, NAME_RULE)


def _read_fraise(
    reader: ConfigReader, plugins: Plugins | None, name: str, freezes: tuple[FreezeSection, ...]
) -> Fraise | None:
    keys: Keys = ("fraises", name)
    check_name(reader, keys)
    section = reader.read(FraiseSection, keys, reader.known(keys))
    kind = reader.value((*keys, "type"))
    known = _known_type(plugins, kind if isinstance(kind, str) else None)
    freezes += section.freeze if section else ()
    environments = {
        environment: _read_environment(reader, (*keys, "environments", environment), known, freezes)
        for environment in reader.mapping((*keys, "environments"), "environments")
    }
    if section is None:
        return None
    why = str(known.problem) if known.problem else None
    description = reader.public((*keys, "description"), section.description) or ""
    return Fraise(name, section.type, description, section, environments, why, section.notify)


class _CoreKeys(EnvironmentSettings, extra="ignore"):
    """What can be read of an environment whose type is not there to say what else belongs in it."""


class _KnownType(NamedTuple):
    """What is known of a fraise type: the model of its section, its kinds, and why it cannot be used."""

    model: type[EnvironmentSettings] = _CoreKeys
    kinds: frozenset[str] | None = None
    problem: PluginError | None = None


def _known_type(plugins: Plugins | None, kind: str | None) -> _KnownType:
    if kind is None or plugins is None:
        return _KnownType()
    try:
        deployer = plugins.deployer(kind)
    except PluginError as error:
        return _KnownType(problem=error)
    return _KnownType(deployer.settings_model, deployer.kinds)


def _read_environment(
    reader: ConfigReader, keys: Keys, known: _KnownType, freezes: tuple[FreezeSection, ...]
) -> Environment:
    check_name(reader, keys)
    section, settings = reader.value(keys), reader.read(known.model, keys, reader.known(keys))
    outcome: EnvironmentSettings | FraisierError | None = known.problem or settings
    if known.problem is None and (unset := reader.unset_under(keys)):
        outcome = UnsetVariableError(unset)
    return Environment(
        fraise=str(keys[1]),
        name=str(keys[-1]),
        title=reader.public((*keys, "name"), settings.name if settings else None),
        branch=settings.branch if settings else None,
        app_path=settings.app_path if settings else None,
        repository=_repository(reader, keys[:2], settings),
        outcome=outcome or _CoreKeys(),
        section=section if isinstance(section, dict) else {},
        secrets=_secrets(
            reader, keys, keys, *((*keys[:2], key) for key in REACH), ("database",), ("state_dir",)
        ),
        env_secrets=_secrets(reader, keys, (*keys, "env")),
        kinds=known.kinds,
        freezes=freezes + (settings.freeze if settings else ()),
    )


def _secrets(reader: ConfigReader, keys: Keys, *places: Keys) -> frozenset[str]:
    """Return what is redacted in the output of an environment, beside the secrets of its settings: what
    variables and files bring to some places, and the secrets that `env:` itself says.
    """
    value = reader.value((*keys, "env"))
    env = value.items() if isinstance(value, dict) else ()
    marked = {name: each for name, each in env if isinstance(each, dict)}
    secret = [str(each.get("value")) for each in marked.values() if each.get("secret") is True]
    shown = [(*keys, "env", name, "value") for name, each in marked.items() if each.get("secret") is False]
    brought = reader.secrets_at(*places, public=[*shown, (*keys, "branch")])
    return brought | {text for text in secret if len(text) >= MIN_SECRET_LENGTH}


def _repository(reader: ConfigReader, fraise: Keys, settings: EnvironmentSettings | None) -> Repository:
    keys = (*fraise, "repository")
    url = reader.value(keys)
    if unset := reader.unset_under(keys):
        return Repository(unknown=unset[0])
    if isinstance(url, str) and url:
        known = not address_problem(url)
        return Repository.at(url, _aliases(reader, fraise)) if known else Repository(unknown="refused")
    if settings is None or settings.app_path is None:
        return Repository(unknown="no `repository:`, and no `app_path:` whose clone could say it")
    return origin_of(settings.app_path)


def _aliases(reader: ConfigReader, fraise: Keys) -> list[str]:
    value = reader.value((*fraise, "aliases"))
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, str) and not address_problem(each)]

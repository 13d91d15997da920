"""The configuration: found, loaded or refused with every problem."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from fraisier_core.config.backup_before import backup_before
from fraisier_core.config.branch_mapping import Rule, read_rules
from fraisier_core.config.checks import check_whole
from fraisier_core.config.database import StorePlace, read_place
from fraisier_core.config.database_secrets import secrets_of
from fraisier_core.config.finding import config_text
from fraisier_core.config.fraise import (
    REACH,
    Environment,
    Fraise,
    ResolvedEnvironment,
    environments_of,
    read_fraises,
)
from fraisier_core.config.observer_sections import (
    ObserversConfig,
    api_keys,
    read_observers,
    secret_keys,
    unheard_pings,
)
from fraisier_core.config.plugin_sections import (
    GitConfig,
    MountsConfig,
    read_git,
    read_mounts,
    shared_secrets,
)
from fraisier_core.config.retention import RetentionSection
from fraisier_core.config.sections import ConfigReader, long_secrets, value_at
from fraisier_core.config.skipped_hours import find_skipped_hours
from fraisier_core.config.unmatchable import find_unmatchable
from fraisier_core.config.variables import Substituted, variable_names
from fraisier_core.config.yamlfile import Keys, read_document
from fraisier_core.errors import ConfigurationError, UnknownNameError, UnsetVariableError
from fraisier_core.git.repository import url_password
from fraisier_core.plugins import GROUPS, MOUNTS, OBSERVERS, Plugins
from fraisier_core.plugins.groups import offer
from fraisier_core.settings import Section
from fraisier_core.text.http_settings import HttpUrl
from fraisier_core.text.suggestions import begun, unknown

SECTIONS = ("git", "fraises", "branch_mapping", "database", "retention", "state_dir", "public_url", "freeze")
PARTS = frozenset({"git", "mounts", "observers"})
"""The parts that a process reads only if it needs their secrets."""


class _PublicUrl(Section):
    public_url: HttpUrl | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Config:
    """A configuration in which everything fits together.

    `text` is as it was written, the rules are in the order of the file. `variables` are the names of those
    that each section uses, by its key, and as `git.api` what observers alone need of `git:`; `unset` is a
    message for each value that needs one that is not set; `warnings` say what no push can match, and which
    secret is shared. `public_url` is the address of the page that shows a deployment.
    """

    place: StorePlace
    text: str = field(repr=False)
    git: GitConfig
    fraises: Mapping[str, Fraise]
    branch_mapping: tuple[Rule, ...]
    observers: ObserversConfig
    mounts: MountsConfig
    retention: RetentionSection
    public_url: str | None
    variables: Mapping[str, set[str]]
    unset: Mapping[Keys, str] = field(repr=False)
    warnings: tuple[str, ...] = field(default=(), repr=False)

    @property
    def path(self) -> Path:
        """The file, absolute and resolved."""
        return self.place.path

    @property
    def state_dir(self) -> Path:
        """The folder of mirrors, releases and what these share."""
        return self.place.state_dir

    @property
    def database(self) -> str:
        """The resolved url of the store."""
        return self.place.database

    @property
    def environments(self) -> tuple[Environment, ...]:
        """The environments of all fraises, in the order of the file."""
        return tuple(environments_of(self.fraises))

    def fraise(self, name: str) -> Fraise:
        """Return the fraise of that name. Raises `UnknownNameError` if there is none."""
        if name not in self.fraises:
            raise UnknownNameError(unknown("fraise", name, self.fraises))
        return self.fraises[name]

    def environment(self, fraise: str, name: str) -> Environment:
        """Return an environment by its name or the beginning of it. Raises `UnknownNameError`."""
        known = self.fraise(fraise).environments
        return known[begun(f"environment of {fraise}", name, known)]

    def named_environment(self, fraise: str, name: str) -> Environment:
        """Return an environment by its whole name: what was left by one that is gone is not for another that
        begins so. Raises `UnknownNameError`.
        """
        known = self.fraise(fraise).environments
        if name not in known:
            raise UnknownNameError(unknown(f"environment of {fraise}", name, known))
        return known[name]

    def rules_of(self, fraise: str, environment: str) -> list[Rule]:
        """Return the rules that name an environment, in their order."""
        names = (fraise, environment)
        return [rule for rule in self.branch_mapping if (rule.fraise, rule.environment) == names]

    def resolved(self, fraise: str, name: str) -> ResolvedEnvironment:
        """Return what a deployment's process gets, or raise what keeps it from having all it needs."""
        found = self.named_environment(fraise, name)
        url = (found.repository.url if found.is_deployed else None) or ""
        if not url and found.is_deployed:
            raise ConfigurationError([f"{self.path}: fraises.{fraise}: {found.repository.unknown}"])
        for key in REACH:
            self.require("fraises", fraise, key)
        of = self.fraise(fraise)
        access = of.reach.access(url)
        passwords = [SecretStr(each) for each in (url_password(url) or "", *secrets_of(self.database))]
        answers = [SecretStr(each) for each in access.secrets()]
        return ResolvedEnvironment(
            fraise=fraise,
            environment=found.name,
            type=of.type,
            repository=url,
            state_dir=self.state_dir,
            section=found.section,
            secrets=found.secrets | long_secrets(found.settings, passwords, answers),
            access=access,
            contents=of.reach.contents(),
            describe=of.reach.describe,
            config=self.path,
            backup_before=backup_before(self.fraises, found),
        )

    def secret_variables(self) -> set[str]:
        """Return the names of the variables that are used under `git:` and nowhere else."""
        elsewhere = (names for section, names in self.variables.items() if section != "git")
        return self.variables.get("git", set()).difference(*elsewhere)

    def require(self, *prefix: str) -> None:
        """Raise `UnsetVariableError` with every variable at or below some keys that is not set."""
        problems = [message for keys, message in self.unset.items() if keys[: len(prefix)] == prefix]
        if problems:
            raise UnsetVariableError(problems)


def load_config(
    path: Path,
    plugins: Plugins,
    environ: Mapping[str, str] = os.environ,
    *,
    parts: Collection[str] = (),
    types: bool = True,
) -> Config:
    """Return the configuration in a file, as `parse_config` does. Raises `ConfigurationError`."""
    return parse_config(config_text(path), path, plugins, environ, parts=parts, types=types)


def parse_config(
    text: str,
    path: Path,
    plugins: Plugins,
    environ: Mapping[str, str] = os.environ,
    *,
    parts: Collection[str] = (),
    types: bool = True,
) -> Config:
    """Return the configuration that a YAML text says.

    `path` is the file it comes from. Of `PARTS`, only `parts` are resolved and read; of the others only the
    names are. Without `types`, the keys that only a fraise type knows are passed over. What the text names of
    the plugins is imported. Raises `ConfigurationError` with every problem, each with its line.
    """
    document = read_document(text, path)
    observers = sorted(set(plugins.names(OBSERVERS)) - set(SECTIONS))
    mounts = sorted(set(plugins.names(MOUNTS)) - {*SECTIONS, *observers})
    anchors = _anchors(document.value, [*observers, *mounts])
    unread = {
        "git": [("git",)] if "observers" not in parts else secret_keys(document.value),
        "observers": [*((name,) for name in observers), *api_keys(document.value)],
        "mounts": [(name,) for name in mounts],
    }
    skipped: list[Keys] = [(name,) for name in anchors]
    skipped += [keys for part in PARTS - {*parts} for keys in unread[part]]
    reader = ConfigReader(str(path), document, Substituted(document.value, environ, skip=skipped))
    _check_root(reader, [*SECTIONS, *observers, *mounts, *anchors], plugins)
    fraises, rules = read_fraises(reader, plugins if types else None), read_rules(reader)
    git = read_git(reader, plugins, with_secrets="git" in parts, with_api="observers" in parts)
    config = Config(
        place=read_place(reader, plugins, path.resolve()),
        text=text,
        git=git,
        fraises=fraises,
        branch_mapping=tuple(rule for rule in rules if rule.fraise in fraises),
        observers=read_observers(reader, plugins, observers if "observers" in parts else [], git),
        mounts=read_mounts(reader, plugins, mounts if "mounts" in parts else []),
        retention=reader.read(RetentionSection, ("retention",), reader.value(("retention",)) or {})
        or RetentionSection(),
        public_url=_public_url(reader),
        variables=_variables(document.value, anchors),
        unset=reader.unset(),
        warnings=(
            *find_unmatchable(reader, fraises, rules, git),
            *shared_secrets(reader, git),
            *find_skipped_hours(reader, environments_of(fraises)),
            *unheard_pings(reader, environments_of(fraises), plugins),
        )
        if "git" in parts
        else (),
    )
    check_whole(reader, fraises, rules)
    reader.finish()
    config.require("database")
    config.require("state_dir")
    config.require("freeze")
    return config


def _public_url(reader: ConfigReader) -> str | None:
    section = reader.read(_PublicUrl, (), {"public_url": reader.value(("public_url",))})
    return section.public_url if section else None


def _variables(document: object, anchors: Collection[str]) -> dict[str, set[str]]:
    sections = document if isinstance(document, dict) else {}
    api = api_keys(document)
    found = {key: variable_names(value, api, (key,)) for key, value in sections.items() if key not in anchors}
    of_api = {name for keys in api for name in variable_names(value_at(document, keys))}
    return found | ({"git.api": of_api} if of_api else {})


def _anchors(root: object, plugins: Collection[str]) -> list[str]:
    """Return the sections that only hold what is repeated elsewhere by YAML's aliases."""
    keys = root if isinstance(root, dict) else ()
    return [key for key in keys if key.startswith("x-") and key not in plugins]


def _check_root(reader: ConfigReader, known: Collection[str], plugins: Plugins) -> None:
    root = reader.value(())
    if root is None:
        raise ConfigurationError([reader.message((), "is empty; it should say at least `fraises:`")])
    sections = reader.mapping((), "sections")
    for key in sections:
        if key in known:
            continue
        is_installed = any(key in plugins.names(group) for group in GROUPS)
        if not is_installed and (advice := offer(key)):
            reader.refuse((key,), f"nothing that is installed has this section; {advice}")
        else:
            reader.refuse_unknown((key,), known)
    if isinstance(root, dict) and "fraises" not in root:
        reader.refuse(("fraises",), "required key is missing")

"""The configuration: what it says, and what a deployment gets of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from fraisier_core.config.backup_before import backup_before
from fraisier_core.config.branch_mapping import Rule
from fraisier_core.config.database import StorePlace
from fraisier_core.config.database_secrets import secrets_of
from fraisier_core.config.fraise import Environment, Fraise, ResolvedEnvironment, environments_of
from fraisier_core.config.observer_sections import ObserversConfig
from fraisier_core.config.plugin_sections import GitConfig, MountsConfig
from fraisier_core.config.reach import REACH
from fraisier_core.config.retention import RetentionSection
from fraisier_core.config.sections import long_secrets
from fraisier_core.config.yamlfile import Keys
from fraisier_core.errors import ConfigurationError, UnknownNameError, UnsetVariableError
from fraisier_core.git.repository import url_password
from fraisier_core.text.suggestions import begun, unknown


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
        settings = found.settings
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
            secrets=found.secrets | long_secrets(settings, passwords, answers),
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

"""Reads the configuration, or refuses it with every problem."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from fraisier_core.config.branch_mapping import Rule, read_rules
from fraisier_core.config.checks import check_whole
from fraisier_core.config.configuration import Config
from fraisier_core.config.database import read_place
from fraisier_core.config.finding import config_text
from fraisier_core.config.fraise import Fraise, environments_of
from fraisier_core.config.fraises_section import read_fraises
from fraisier_core.config.observer_sections import (
    api_keys,
    read_observers,
    secret_keys,
    unheard_pings,
    untold_forges,
)
from fraisier_core.config.plugin_sections import GitConfig, read_git, read_mounts, shared_secrets
from fraisier_core.config.retention import RetentionSection
from fraisier_core.config.sections import ConfigReader, value_at
from fraisier_core.config.skipped_hours import find_skipped_hours
from fraisier_core.config.unmatchable import find_unmatchable
from fraisier_core.config.variables import Substituted, variable_names
from fraisier_core.config.yamlfile import Keys, read_document
from fraisier_core.errors import ConfigurationError
from fraisier_core.plugins import GROUPS, MOUNTS, OBSERVERS, Plugins
from fraisier_core.plugins.groups import offer
from fraisier_core.settings import Section
from fraisier_core.text.http_settings import HttpUrl

SECTIONS = ("git", "fraises", "branch_mapping", "database", "retention", "state_dir", "public_url", "freeze")
PARTS = frozenset({"git", "mounts", "observers"})
"""The parts that a process reads only if it needs their secrets."""


class _PublicUrl(Section):
    public_url: HttpUrl | None = None


class _FurtherSections(NamedTuple):
    """The sections of plugins, and `anchors`, which only hold what YAML aliases repeat elsewhere."""

    observers: list[str]
    mounts: list[str]
    anchors: list[str]

    @classmethod
    def of(cls, root: object, plugins: Plugins) -> _FurtherSections:
        observers = sorted({*plugins.names(OBSERVERS)} - {*SECTIONS})
        mounts = sorted({*plugins.names(MOUNTS)} - {*SECTIONS, *observers})
        prefixed = [key for key in (root if isinstance(root, dict) else ()) if key.startswith("x-")]
        return cls(observers, mounts, [key for key in prefixed if key not in {*observers, *mounts}])


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
    further = _FurtherSections.of(document.value, plugins)
    skipped = [(name,) for name in further.anchors] + _unread(document.value, parts, further)
    reader = ConfigReader(str(path), document, Substituted(document.value, environ, skip=skipped))
    _check_root(reader, [*SECTIONS, *chain(*further)], plugins)
    fraises, rules = read_fraises(reader, plugins if types else None), read_rules(reader)
    git = read_git(reader, plugins, with_secrets="git" in parts, with_api="observers" in parts)
    environments = tuple(environments_of(fraises))
    names = further.observers if "observers" in parts else []
    told = read_observers(reader, plugins, names, git, environments=environments)
    untold = untold_forges(told, environments, plugins)
    config = Config(
        place=read_place(reader, plugins, path.resolve()),
        text=text,
        git=git,
        fraises=fraises,
        branch_mapping=tuple(rule for rule in rules if rule.fraise in fraises),
        observers=told,
        mounts=read_mounts(reader, plugins, further.mounts if "mounts" in parts else []),
        retention=_retention(reader),
        public_url=_public_url(reader),
        variables=_variables(document.value, further.anchors),
        unset=reader.unset(),
        warnings=(*_warnings(reader, plugins, fraises, rules, git), *untold) if "git" in parts else (),
    )
    check_whole(reader, fraises, rules)
    reader.finish()
    for section in ("database", "state_dir", "freeze"):
        config.require(section)
    return config


def _unread(document: object, parts: Collection[str], further: _FurtherSections) -> list[Keys]:
    """Return the keys of what belongs to other `PARTS`."""
    keys: dict[str, list[Keys]] = {
        "git": [("git",)] if "observers" not in parts else secret_keys(document),
        "observers": [*((name,) for name in further.observers), *api_keys(document)],
        "mounts": [(name,) for name in further.mounts],
    }
    return [each for part in PARTS - {*parts} for each in keys[part]]


def _warnings(
    reader: ConfigReader,
    plugins: Plugins,
    fraises: Mapping[str, Fraise],
    rules: Sequence[Rule],
    git: GitConfig,
) -> Iterator[str]:
    environments = tuple(environments_of(fraises))
    yield from find_unmatchable(reader, fraises, rules, git)
    yield from shared_secrets(reader, git)
    yield from find_skipped_hours(reader, environments)
    yield from unheard_pings(reader, environments, plugins)


def _retention(reader: ConfigReader) -> RetentionSection:
    keys = ("retention",)
    return reader.read(RetentionSection, keys, reader.value(keys) or {}) or RetentionSection()


def _public_url(reader: ConfigReader) -> str | None:
    section = reader.read(_PublicUrl, (), {"public_url": reader.value(("public_url",))})
    return section.public_url if section else None


def _variables(document: object, anchors: Collection[str]) -> dict[str, set[str]]:
    sections = document if isinstance(document, dict) else {}
    api = api_keys(document)
    found = {key: variable_names(value, api, (key,)) for key, value in sections.items() if key not in anchors}
    of_api = {name for keys in api for name in variable_names(value_at(document, keys))}
    return found | ({"git.api": of_api} if of_api else {})


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

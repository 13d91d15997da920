"""`branch_mapping:`: which branches and tags are deployed where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, field_validator

from fraisier_core.config.sections import ConfigReader
from fraisier_core.config.yamlfile import Keys
from fraisier_core.settings import Section

_WILDCARD = re.compile(r"(\*\*|\*|\?)")
_EXPRESSIONS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
_REF_NAME = re.compile(r"[^-\x00-\x20\x7f~^:\[\\][^\x00-\x20\x7f~^:\[\\]*")


class RuleSection(Section):
    """One target of a branch mapping.

    Args:
        fraise: the fraise to deploy.
        environment: the environment of it.
        tags: the key matches tags; without it, branches.
        paths: git pathspecs; deploy only if one of them changed since the commit that is serving.
        repository: full name, such as `acme/my-api`; only pushes to it.
    """

    fraise: str
    environment: str
    tags: bool = False
    paths: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    repository: Annotated[str, Field(pattern=r"^[^\s:]+$")] | None = None

    @field_validator("paths")
    @classmethod
    def _relative(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        if any(path.startswith("/") for path in paths):
            raise ValueError("should be relative to the repository, without a leading /")
        return paths


@dataclass(frozen=True, slots=True)
class Rule:
    """One target of a branch mapping, ready to be matched.

    Args:
        pattern: the key: a name, or a glob in which `*` and `?` stop at `/` and `**` does not.
        expression: the pattern as a regular expression for the whole name.
        fraise: the fraise to deploy.
        environment: the environment of it.
        tags: whether it matches tags instead of branches.
        paths: git pathspecs that narrow it; none narrows nothing.
        repository: full name that narrows it, in lower case.
        keys: where it stands in the configuration.
    """

    pattern: str
    expression: re.Pattern[str]
    fraise: str
    environment: str
    tags: bool
    paths: tuple[str, ...]
    repository: str | None
    keys: Keys


def compile_glob(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a glob: `*` and `?` stop at `/`, `**` does not."""
    parts = _WILDCARD.split(pattern)
    return re.compile("".join(_EXPRESSIONS.get(part) or re.escape(part) for part in parts), re.DOTALL)


def read_rules(reader: ConfigReader) -> tuple[Rule, ...]:
    """Return the rules that are complete, in the order of the file; refuse the others."""
    rules: list[Rule] = []
    for pattern in reader.mapping(("branch_mapping",), "branches"):
        if problem := _pattern_problem(pattern):
            reader.refuse(("branch_mapping", pattern), problem)
            continue
        for keys in _targets(reader, ("branch_mapping", pattern)):
            section = reader.read(RuleSection, keys)
            if section and not reader.unset_under(keys):
                rules.append(_rule(pattern, section, keys))
    return tuple(rules)


def _targets(reader: ConfigReader, keys: Keys) -> Iterator[Keys]:
    value = reader.value(keys)
    if not isinstance(value, list):
        yield keys
        return
    for index in range(len(value)):
        yield (*keys, index)


def _pattern_problem(pattern: str) -> str | None:
    if pattern.startswith("refs/"):
        return "should be the name alone, without refs/heads/ or refs/tags/"
    if not _REF_NAME.fullmatch(pattern):
        return "is not a branch name; a glob may use *, ** and ?"
    return None


def _rule(pattern: str, section: RuleSection, keys: Keys) -> Rule:
    return Rule(
        pattern=pattern,
        expression=compile_glob(pattern),
        fraise=section.fraise,
        environment=section.environment,
        tags=section.tags,
        paths=section.paths,
        repository=section.repository.lower() if section.repository else None,
        keys=keys,
    )

"""`branch_mapping:`: which branches and tags are deployed where."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from fraisier_core.config.sections import ConfigReader
from fraisier_core.config.yamlfile import Keys
from fraisier_core.push import is_ref_name
from fraisier_core.settings import Section

EXCLUDED = "!"
_MAGIC = ":(exclude)"

_WILDCARD = re.compile(r"(\*\*|\*|\?)")
_EXPRESSIONS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


class RuleSection(Section):
    """One target of a branch mapping: a fraise, an environment of it, and what narrows the match. With `tags`
    the key matches tags, else branches. With `paths`, it deploys only if a file that one of them matches, and
    none of those after a `!`, changed since the commit that is serving; `repository` is a full name, such as
    `acme/my-api`, in any case.
    """

    fraise: str
    environment: str
    tags: bool = False
    paths: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    repository: Annotated[str, StringConstraints(pattern=r"^[^\s:]+$")] | None = None

    @field_validator("paths")
    @classmethod
    def _within_repository(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in (path.removeprefix(EXCLUDED) for path in paths):
            if not path or path.startswith(("/", EXCLUDED, ":")) or ".." in path.split("/"):
                raise ValueError(
                    "should be relative to the repository, without a leading /, : or ..; !docs excludes docs"
                )
        return paths

    @property
    def pathspecs(self) -> tuple[str, ...]:
        """The paths as git takes them."""
        return tuple(
            f"{_MAGIC}{path.removeprefix(EXCLUDED)}" if path.startswith(EXCLUDED) else path
            for path in self.paths
        )


class Rule(RuleSection):
    """One target of a branch mapping, ready to be matched. `pattern` is its key, a name or a glob in which
    `*` and `?` stop at `/` and `**` does not; `expression` matches the whole name.
    """

    pattern: str
    expression: re.Pattern[str]
    keys: Keys


def written_path(pathspec: str) -> str:
    """Return a path of `Rule.pathspecs` as `paths:` says it."""
    return f"{EXCLUDED}{pathspec.removeprefix(_MAGIC)}" if pathspec.startswith(_MAGIC) else pathspec


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
                expression = compile_glob(pattern)
                rules.append(Rule(pattern=pattern, expression=expression, keys=keys, **dict(section)))
    return tuple(rules)


def _targets(reader: ConfigReader, keys: Keys) -> list[Keys]:
    value = reader.value(keys)
    return [(*keys, index) for index in range(len(value))] if isinstance(value, list) else [keys]


def _pattern_problem(pattern: str) -> str | None:
    if pattern.startswith("refs/"):
        return "should be the name alone, without refs/heads/ or refs/tags/"
    if not is_ref_name(_WILDCARD.sub("x", pattern)):
        return "is not a branch name; a glob may use *, ** and ?"
    return None

"""Which environments a push deploys to, and why each of the others is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from fraisier_core.config import Config
from fraisier_core.config.branch_mapping import Rule
from fraisier_core.git.origins import Origin, Repositories
from fraisier_core.git.repository import Repository, canonical_path, in_any_case
from fraisier_core.push import BRANCH_PREFIX, Push

REMEMBERED = 256
REMEMBERED_CONFIGS = 2


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment that a push requests, and why. Of the lists of pathspecs, one must match a change; if
    there are none, every change deploys.
    """

    fraise: str
    environment: str
    pathspecs: tuple[tuple[str, ...], ...]
    reason: str


class Mismatch(NamedTuple):
    """Why a push does not match a rule, and the setting with which it would, if there is one; `elsewhere`
    says that it is to another repository.
    """

    reason: str
    setting: str | None = None
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Routing:
    """What a push requests, at most once for each environment; `reasons` say in words why each rule for its
    repository matches or does not.
    """

    targets: tuple[Target, ...]
    reasons: tuple[str, ...]
    _matching: _Matching

    @property
    def rejections(self) -> tuple[tuple[Rule, Mismatch], ...]:
        """The rules that it does not match, and why; those for other repositories included."""
        return tuple(self._matching.rejected(self._matching.config.branch_mapping))

    def names(self, repository: Repository) -> bool:
        """Whether the push is to a repository."""
        return not repository.identities.isdisjoint(self._matching.found)


def route(push: Push, config: Config, provider: str = "", bound: frozenset[str] | None = None) -> Routing:
    """Return the deployments that one ref of a verified delivery requests. A rule with `paths:` matches here
    whatever was changed: comparing takes the repository, and the deployment does it. If several rules name
    one environment, a change that matches any of them counts.

    Args:
        push: what was pushed.
        config: with the rules.
        provider: the section under `git:` that received it; its `hosts:` count.
        bound: the identities of the repositories that the delivery's secret is bound to; None means all.

    Raises `BoundSecretError` if it is bound to other repositories.
    """
    after = None if push.after is None else "any"
    ref = Push("", push.repository, tuple(push.urls), push.ref, None, after, "")
    return _route(ref, config, provider, bound)


@lru_cache(REMEMBERED)
def _route(push: Push, config: Config, provider: str, bound: frozenset[str] | None) -> Routing:
    """Return what every push to a ref requests: refs are few, and comparing them is not cheap."""
    origin = Origin.of(push, config.git.hosts.get(provider, frozenset()))
    origin = origin if bound is None else origin.within(bound)
    rules = _Rules.of(config)
    matching = _Matching(push, config, provider, origin, rules.repositories.named_by(origin))
    own = rules.of_repositories(matching.found)
    matches: dict[tuple[str, str], list[Rule]] = {}
    for rule in own:
        if matching.mismatch(rule) is None:
            matches.setdefault((rule.fraise, rule.environment), []).append(rule)
    targets = tuple(_target(found, push, config) for found in matches.values())
    matched = [f"{target.fraise} {target.environment}: {target.reason}" for target in targets]
    rejected = [
        f"{rule.fraise} {rule.environment}: {mismatch.reason}"
        for rule, mismatch in matching.rejected(own)
        if _repository(rule, config).identity is None or not mismatch.elsewhere
    ]
    return Routing(targets, tuple(matched + rejected) or (matching.nothing(),), matching)


@dataclass(frozen=True, slots=True)
class _Matching:
    """One push beside the rules; `found` are the identities of the configured repositories that it means."""

    push: Push
    config: Config
    provider: str
    origin: Origin
    found: frozenset[str]

    def rejected(self, rules: tuple[Rule, ...]) -> Iterator[tuple[Rule, Mismatch]]:
        """Yield the rules that the push does not match, and why."""
        for rule in rules:
            if mismatch := self.mismatch(rule):
                yield rule, mismatch

    def mismatch(self, rule: Rule) -> Mismatch | None:
        """Return why the push does not match a rule; None if it does."""
        return self._repository_mismatch(rule) or _ref_mismatch(rule, self.push)

    def _repository_mismatch(self, rule: Rule) -> Mismatch | None:
        repository = _repository(rule, self.config)
        if repository.identity is None:
            reason = f"the repository of {rule.fraise} is not known: {repository.unknown}"
            return Mismatch(reason, f"fraises.{rule.fraise}.repository", elsewhere=True)
        if not repository.identities & self.found:
            if elsewhere := self._elsewhere():
                return Mismatch(elsewhere, f"git.{self.provider or 'PROVIDER'}.hosts", elsewhere=True)
            other = self._other(rule.fraise, repository)
            return Mismatch(other, alias_of(rule.fraise), elsewhere=True)
        if rule.repository and not _is_called(self.push.repository, rule.repository):
            reason = f"the push is to {self.push.repository}, and the rule is for {rule.repository}"
            return Mismatch(reason, f"branch_mapping.{rule.pattern}: `repository:`", elsewhere=True)
        return None

    def nothing(self) -> str:
        """Return why no rule is for the repository."""
        if not self.config.branch_mapping:
            return "branch_mapping is empty"
        return self._elsewhere() or f"no rule is for {self.origin}"

    def _elsewhere(self) -> str | None:
        hosts = f"git.{self.provider or 'PROVIDER'}.hosts"
        if self.origin.name and not self.origin.hosts:
            return f"the push names no address of {self.origin.name}; list the forge's host names in {hosts}"
        if self.origin.elsewhere and not self.origin.identities:
            return f"the push is to {self.origin}, which is on none of {hosts}"
        return None

    def _other(self, fraise: str, repository: Repository) -> str:
        named = set(map(in_any_case, self.origin.identities))
        is_told_apart = not named.isdisjoint(map(in_any_case, repository.identities))
        why = ", which is told apart by its case" if is_told_apart else ""
        return f"the push is to {self.origin}, and {fraise} comes from {repository.identity}{why}"


class _Rules:
    """The rules of a configuration by the repositories that they are for: a push is to one or two of many."""

    def __init__(self, config: Config) -> None:
        self._rules = config.branch_mapping
        self._unknown: set[int] = set()
        self._numbers: dict[str, set[int]] = {}
        self.repositories = Repositories.of(each.repository for each in config.environments)
        for number, rule in enumerate(self._rules):
            repository = _repository(rule, config)
            if repository.identity is None:
                self._unknown.add(number)
            for identity in repository.identities:
                self._numbers.setdefault(identity, set()).add(number)

    @staticmethod
    @lru_cache(REMEMBERED_CONFIGS)
    def of(config: Config) -> _Rules:
        """Return the rules of a configuration."""
        return _Rules(config)

    def of_repositories(self, identities: frozenset[str]) -> tuple[Rule, ...]:
        """Return the rules for some repositories, and those whose repository is not known, in their order."""
        numbers = self._unknown.union(*(self._numbers.get(each, ()) for each in identities))
        return tuple(self._rules[number] for number in sorted(numbers))


def alias_of(fraise: str) -> str:
    """Return the setting with which a push to another address is to the repository of a fraise."""
    return f"fraises.{fraise}.aliases, if both are one repository"


def rule_for(push: Push, fraise: str, environment: str) -> str:
    """Return the setting with which a branch or tag is deployed to an environment."""
    tags = ", tags: true" if push.is_tag else ""
    name = json.dumps(push.name, ensure_ascii=False)  # which YAML reads as well
    return f"branch_mapping: {{{name}: {{fraise: {fraise}, environment: {environment}{tags}}}}}"


def _ref_mismatch(rule: Rule, push: Push) -> Mismatch | None:
    if push.after is None:
        return Mismatch(f'"{push.name}" was deleted, and a deletion never deploys')
    if not push.is_tag and not push.ref.startswith(BRANCH_PREFIX):
        return Mismatch(f"{push.ref} is neither a branch nor a tag")
    setting = rule_for(push, rule.fraise, rule.environment)
    if push.is_tag != rule.tags:
        is_tag = "a tag was pushed, and the rule is for branches"
        return Mismatch(is_tag if push.is_tag else "the rule is for tags", setting)
    matches = rule.expression.fullmatch(push.name)
    return None if matches else Mismatch(f'"{push.name}" does not match "{rule.pattern}"', setting)


def _is_called(name: str, wanted: str) -> bool:
    """Whether a repository's full name is the one that is wanted, compared as paths of addresses are."""
    return in_any_case(canonical_path(name)) == in_any_case(canonical_path(wanted))


def _repository(rule: Rule, config: Config) -> Repository:
    return config.fraises[rule.fraise].environments[rule.environment].repository


def _target(rules: list[Rule], push: Push, config: Config) -> Target:
    kind = "tag" if push.is_tag else "branch"
    patterns = " and ".join(f'"{rule.pattern}"' for rule in rules)
    fraise, environment = rules[0].fraise, rules[0].environment
    reason = f'the {kind} "{push.name}" matches {patterns} and the repository is {fraise}\'s'
    problem = config.fraises[fraise].problem
    narrowed = all(rule.paths for rule in rules)
    pathspecs = tuple(dict.fromkeys(rule.pathspecs for rule in rules)) if narrowed else ()
    return Target(fraise, environment, pathspecs, f"{reason}; {problem}" if problem else reason)

"""Which environments a push deploys to, and why each of the others is left alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from fraisier_core.config import Config
from fraisier_core.config.branch_mapping import Rule
from fraisier_core.git.repository import Repository, repository_identity
from fraisier_core.push import BRANCH_PREFIX, Push

REMEMBERED = 256
Identities = AbstractSet[str | None]


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment that a push requests, and why; without pathspecs, every change deploys."""

    fraise: str
    environment: str
    pathspecs: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Routing:
    """What a push requests, at most once for each environment, and which rules it does not match, and why;
    `reasons` say that of the rules for its repository, in words.
    """

    targets: tuple[Target, ...]
    rejections: tuple[tuple[Rule, str], ...]
    reasons: tuple[str, ...] = ()


def route(push: Push, config: Config) -> Routing:
    """Return the deployments that one ref of a verified delivery requests. A rule with `paths:` matches here
    whatever was changed: comparing takes the repository, and the deployment does it. If several rules name
    one environment, a change that matches any of them counts.
    """
    if push.after is None:
        deleted = f'"{push.name}" was deleted, and a deletion never deploys'
        rejections = tuple((rule, deleted) for rule in config.branch_mapping)
        return Routing((), rejections, _reasons((), rejections, push, _identities(push.urls), config))
    return _route(config, push.repository, tuple(push.urls), push.ref)


@lru_cache(REMEMBERED)
def _route(config: Config, repository: str, urls: tuple[str, ...], ref: str) -> Routing:
    """Return what every push to a ref requests: refs are few, and each is compared with every rule."""
    push = Push("", repository, urls, ref, None, None, "")
    identities = _identities(urls)
    matches: dict[tuple[str, str], list[Rule]] = {}
    rejections: list[tuple[Rule, str]] = []
    for rule in config.branch_mapping:
        reason = _mismatch(rule, push, identities, config)
        if reason is None:
            matches.setdefault((rule.fraise, rule.environment), []).append(rule)
        else:
            rejections.append((rule, reason))
    targets = tuple(_target(rules, push) for rules in matches.values())
    return Routing(targets, tuple(rejections), _reasons(targets, rejections, push, identities, config))


def _reasons(
    targets: Sequence[Target],
    rejections: Sequence[tuple[Rule, str]],
    push: Push,
    identities: Identities,
    config: Config,
) -> tuple[str, ...]:
    """Return why each rule for the repository matches or does not; if there is none, only that."""
    matched = [f"{target.fraise} {target.environment}: {target.reason}" for target in targets]
    own = [
        f"{rule.fraise} {rule.environment}: {reason}"
        for rule, reason in rejections
        if _repository(rule, config).identity is None
        or _repository_mismatch(rule, push, identities, config) is None
    ]
    nothing = f"no rule is for {_shown(identities)}" if rejections else "branch_mapping is empty"
    return tuple(matched + own) or (nothing,)


def _identities(urls: Iterable[str]) -> Identities:
    return {repository_identity(url) for url in urls}


def _shown(identities: Identities) -> str:
    return ", ".join(sorted(filter(None, identities))) or "an unnamed repository"


def _mismatch(rule: Rule, push: Push, identities: Identities, config: Config) -> str | None:
    return _ref_mismatch(rule, push) or _repository_mismatch(rule, push, identities, config)


def _ref_mismatch(rule: Rule, push: Push) -> str | None:
    if not push.is_tag and not push.ref.startswith(BRANCH_PREFIX):
        return f"{push.ref} is neither a branch nor a tag"
    if push.is_tag != rule.tags:
        return "a tag was pushed, and the rule is for branches" if push.is_tag else "the rule is for tags"
    matches = rule.expression.fullmatch(push.name)
    return None if matches else f'"{push.name}" does not match "{rule.pattern}"'


def _repository_mismatch(rule: Rule, push: Push, identities: Identities, config: Config) -> str | None:
    repository = _repository(rule, config)
    if repository.identity is None:
        return f"the repository of {rule.fraise} is not known: {repository.unknown}"
    if not repository.identities & identities:
        return f"the push is to {_shown(identities)}, and {rule.fraise} comes from {repository.identity}"
    if rule.repository not in (None, push.repository.lower()):
        return f"the push is to {push.repository}, and the rule is for {rule.repository}"
    return None


def _repository(rule: Rule, config: Config) -> Repository:
    return config.fraises[rule.fraise].environments[rule.environment].repository


def _target(rules: list[Rule], push: Push) -> Target:
    kind = "tag" if push.is_tag else "branch"
    patterns = " and ".join(f'"{rule.pattern}"' for rule in rules)
    fraise, environment = rules[0].fraise, rules[0].environment
    reason = f'the {kind} "{push.name}" matches {patterns} and the repository is {fraise}\'s'
    narrowed = all(rule.paths for rule in rules)
    pathspecs = tuple(path for rule in rules for path in rule.paths) if narrowed else ()
    return Target(fraise, environment, pathspecs, reason)

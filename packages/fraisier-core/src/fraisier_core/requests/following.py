"""Which branches an environment follows, and what a push to each of them would deploy there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from fraisier_core.config import Config, Environment
from fraisier_core.config.branch_mapping import Rule
from fraisier_core.push import BRANCH_PREFIX, Push
from fraisier_core.requests.routing import Target, route
from fraisier_core.settings import EnvironmentSettings, ReconcileSection


@dataclass(frozen=True, slots=True)
class Followed:
    """A branch that an environment follows, its newest commit if the repository has it, and what routing
    decides about a push of that; `by_hand`: pushes do not deploy there.
    """

    ref: str
    head: str | None
    target: Target
    by_hand: bool = False


def followed(
    config: Config, environment: Environment, heads: Mapping[str, str], deployed: Collection[str]
) -> list[Followed]:
    """Return the branches that an environment follows.

    Args:
        config: holds its rules.
        environment: may have several branches.
        heads: the branches of its repository, full refs, and their newest commits.
        deployed: the refs of which something was requested there.

    That is its own branch (`branch:`, else the only one that a rule names without a glob) and, of those that
    rules match, each that was deployed there before: which of several new ones it should follow, only a user
    can say. Its own comes last, so that its request is the newest. Without a rule, it is `branch:` alone.
    """
    names = environment.fraise, environment.name
    rules = config.rules_of(*names)
    own = _own_ref(environment, rules)
    if not rules:
        by_hand = reconcile_section(environment) is None
        target = Target(*names, (), f"it is the `branch:` of {' '.join(names)}")
        return [Followed(own, heads.get(own), target, by_hand)] if own else []
    matched = [ref for ref in heads if ref in deployed and ref != own and _is_matched(ref, rules)]
    refs = [*matched, *([own] if own else [])]
    found = ((ref, _target(config, environment, ref, heads)) for ref in refs)
    return [Followed(ref, heads.get(ref), target) for ref, target in found if target]


def follows(config: Config, environment: Environment) -> bool:
    """Whether an environment may follow a branch: it has one, or a rule for branches."""
    rules = config.rules_of(environment.fraise, environment.name)
    return any(not rule.tags for rule in rules) or (environment.branch is not None and not rules)


def reconcile_section(environment: Environment) -> ReconcileSection | None:
    """Return the section `reconcile:` of an environment; None if it has none, or its settings are unknown."""
    outcome = environment.outcome
    return outcome.reconcile if isinstance(outcome, EnvironmentSettings) else None


def _own_ref(environment: Environment, rules: Iterable[Rule]) -> str | None:
    plain = list(dict.fromkeys(_plain_names(rules)))
    name = environment.branch or (plain[0] if len(plain) == 1 else None)
    return f"{BRANCH_PREFIX}{name}" if name else None


def _plain_names(rules: Iterable[Rule]) -> Iterator[str]:
    for rule in rules:
        if not rule.tags and rule.expression.pattern == re.escape(rule.pattern):
            yield rule.pattern


def _is_matched(ref: str, rules: Iterable[Rule]) -> bool:
    name = ref.removeprefix(BRANCH_PREFIX)
    return any(not rule.tags and rule.expression.fullmatch(name) for rule in rules)


def _target(config: Config, environment: Environment, ref: str, heads: Mapping[str, str]) -> Target | None:
    """Return what a push of a branch's newest commit would deploy in an environment."""
    repository = environment.repository
    full_name = (repository.identity or "").partition("/")[2]
    push = Push(
        event="reconcile",
        repository=full_name,
        urls=(repository.url or "",),
        ref=ref,
        before=None,
        after=heads.get(ref, ""),
        pusher="",
    )
    names = environment.fraise, environment.name
    targets = route(push, config).targets
    return next((each for each in targets if (each.fraise, each.environment) == names), None)

"""Why a push deploys or does not: what became of a delivery, and what the configuration of today says."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fraisier_core.config import Config
from fraisier_core.config.branch_mapping import Rule, written_path
from fraisier_core.config.yamlfile import Keys
from fraisier_core.errors import PluginError
from fraisier_core.plugins import Plugins
from fraisier_core.push import BRANCH_PREFIX, Push, spoken_ref
from fraisier_core.requests.outcomes import CONDITION, Outcome, deploy_command, outcome_of
from fraisier_core.requests.refused import remedies
from fraisier_core.requests.routing import Mismatch, Routing, Target, alias_of, route, rule_for
from fraisier_core.store.protocol import Reader
from fraisier_core.store.received import DeliveryDetails, ReceivedDelivery

UNREADABLE = "the configuration of today cannot be used; `fraisier config check` says why"
PUSH_EVENTS = "the forge's webhook: it must send push events"


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """Whether a push matches a rule, why, and the setting that decides otherwise."""

    pattern: str
    matches: bool
    reason: str
    setting: str | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentVerdict:
    """Whether a push deploys to an environment, and the command that does so by hand; `problem` says what
    keeps anything from being deployed there.
    """

    fraise_id: str
    environment: str
    requested: bool
    elsewhere: bool
    rules: tuple[RuleVerdict, ...]
    settings: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RefVerdict:
    """What a push of one ref requests under the configuration of today; those for its repository first."""

    ref: str
    commit_sha: str | None
    answer: str
    environments: tuple[EnvironmentVerdict, ...]

    @property
    def requested(self) -> str:
        """The environments that it deploys to, for a sentence."""
        return _listed([each for each in self.environments if each.requested])


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer in one sentence, and its details: what became of a delivery, with what changes it, and what
    each of its refs requests today. `problem` says why no delivery can be received, or routed.
    """

    answer: str
    settings: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    refs: tuple[RefVerdict, ...] = ()
    problem: str | None = None
    duplicate_of: str | None = None


def explain_push(push: Push, provider: str, config: Config, plugins: Plugins) -> Explanation:
    """Return what a push would request that the section `provider` of `git:` received."""
    verdict = _verdict(push, provider, config, plugins)
    problem = _provider_problem(provider, config, plugins)
    if problem is None:
        return Explanation(verdict.answer, refs=(verdict,))
    return Explanation(f"Nothing that is pushed deploys: {problem}.", refs=(verdict,), problem=problem)


def explain_delivery(
    details: DeliveryDetails, reader: Reader, config: Config | None, plugins: Plugins
) -> Explanation:
    """Return what became of a delivery, and what it would request today; `config` is None if the
    configuration of today cannot be used.
    """
    found = details.delivery
    if found.verdict == "refused":
        return _refused(found)
    first = reader.delivery(found.duplicate_of) if found.duplicate_of else None
    own = details.deployments if first is None or found.verdict != "duplicate" else first.deployments
    outcomes = tuple(outcome_of(each, reader, config) for each in own)
    refs, problem = _today(details, config, plugins)
    replayable = refs if config and found.provider in config.git.types else ()
    answer = _answer(details, outcomes, replayable)
    settings = () if details.refs else (PUSH_EVENTS,)
    commands = _commands(found, replayable)
    return Explanation(answer, settings, commands, outcomes, refs, problem, found.duplicate_of)


def _refused(found: ReceivedDelivery) -> Explanation:
    (reason,) = found.reasons
    settings, commands = remedies(found.provider, reason)
    return Explanation(f"It was refused, so nothing was deployed: {reason}.", settings, commands)


def _today(
    details: DeliveryDetails, config: Config | None, plugins: Plugins
) -> tuple[tuple[RefVerdict, ...], str | None]:
    if config is None:
        return (), UNREADABLE
    provider = details.delivery.provider
    refs = tuple(_verdict(push, provider, config, plugins) for push in details.pushes)
    return refs, _provider_problem(provider, config, plugins)


def _answer(details: DeliveryDetails, outcomes: tuple[Outcome, ...], refs: tuple[RefVerdict, ...]) -> str:
    found = details.delivery
    stand = "; ".join(f"{each.fraise_id} {each.environment}: {each.text}" for each in outcomes)
    if found.verdict == "duplicate":
        return f"It repeats delivery {found.duplicate_of}, which had requested all of it already: {stand}."
    if found.duplicate_of:
        return f"It has the body of delivery {found.duplicate_of}, so {CONDITION}: {stand}."
    if outcomes:
        return f"It requested {stand}."
    today = [each for each in refs if each.requested]
    now = f" Today it would request {', '.join(each.requested for each in today)}." if today else ""
    return f"It requested nothing: {_nearest(details.reasons)}.{now}"


def _commands(found: ReceivedDelivery, refs: tuple[RefVerdict, ...]) -> tuple[str, ...]:
    is_missed = found.verdict == "ignored" and any(each.requested for each in refs)
    return (f"fraisier webhooks replay {found.id} --deploy",) if is_missed else ()


def _provider_problem(provider: str, config: Config, plugins: Plugins) -> str | None:
    """Return why the webhook of a provider answers with an error."""
    if not provider:
        return "no provider is configured under `git:`"
    if provider not in config.git.types:
        return f"there is no section git.{provider} any more"
    try:
        plugins.provider(config.git.types[provider])
    except PluginError as error:
        return str(error)
    return None


def _verdict(push: Push, provider: str, config: Config, plugins: Plugins) -> RefVerdict:
    routing = route(push, config, provider)
    routed = _Routed(push, config, plugins, routing, {rule.keys: why for rule, why in routing.rejections})
    found = [
        routed.environment(name, environment)
        for name, fraise in config.fraises.items()
        for environment in fraise.environments
    ]
    found.sort(key=lambda each: (not each.requested, each.elsewhere))
    return RefVerdict(push.ref, push.after or None, _answer_for(push, found, routing), tuple(found))


def _answer_for(push: Push, found: Sequence[EnvironmentVerdict], routing: Routing) -> str:
    what = f"{spoken_ref(push.ref)} of {push.repository}"
    requested = [each for each in found if each.requested]
    if not requested:
        return f"A push of {what} requests nothing: {_nearest(routing.reasons)}."
    if problems := [each.problem for each in requested if each.problem]:
        return f"A push of {what} requests {_listed(requested)}, and that will fail: {problems[0]}."
    return f"A push of {what} deploys {_listed(requested)}."


@dataclass(frozen=True, slots=True)
class _Routed:
    """A push beside what routing says of it; `rejected` are the rules that it does not match, by keys."""

    push: Push
    config: Config
    plugins: Plugins
    routing: Routing
    rejected: Mapping[Keys, Mismatch]

    def environment(self, fraise: str, name: str) -> EnvironmentVerdict:
        """Return what it does to an environment."""
        place = (fraise, name)
        rules = self.config.rules_of(fraise, name)
        targets = (each for each in self.routing.targets if (each.fraise, each.environment) == place)
        target = next(targets, None)
        verdicts = tuple(self._rule(rule, target) for rule in rules)
        here = self.routing.names(self.config.fraises[fraise].environments[name].repository)
        commands = _by_hand(self.push, fraise, name) if here and target is None else ()
        settings = () if target else self._settings(fraise, name, verdicts, here=here)
        problem = self._problem(fraise)
        return EnvironmentVerdict(
            fraise, name, target is not None, not here, verdicts, settings, commands, problem
        )

    def _settings(
        self, fraise: str, name: str, rules: Sequence[RuleVerdict], *, here: bool
    ) -> tuple[str, ...]:
        """Return the settings with which it would deploy to an environment."""
        if rules or self.push.after is None:
            return tuple(dict.fromkeys(each.setting for each in rules if each.setting))
        return (rule_for(self.push, fraise, name) if here else alias_of(fraise),)

    def _rule(self, rule: Rule, target: Target | None) -> RuleVerdict:
        mismatch = self.rejected.get(rule.keys)
        if mismatch is not None or target is None:
            why = mismatch or Mismatch("")
            return RuleVerdict(rule.pattern, False, why.reason, why.setting)
        if not target.pathspecs:
            return RuleVerdict(rule.pattern, True, target.reason)
        paths = " or ".join(", ".join(map(written_path, pathspecs)) for pathspecs in target.pathspecs)
        condition = f"it is skipped unless a change matches paths: {paths}"
        return RuleVerdict(rule.pattern, True, f"{target.reason}; {condition}")

    def _problem(self, fraise: str) -> str | None:
        """Return why nothing of a fraise can be deployed."""
        try:
            self.plugins.deployer(self.config.fraises[fraise].type)
        except PluginError as error:
            return str(error)
        return None


def _by_hand(push: Push, fraise: str, environment: str) -> tuple[str, ...]:
    """Return the command that deploys what was pushed, or what it was before it was deleted."""
    if commit := push.after or push.before:
        return (deploy_command(fraise, environment, commit),)
    if push.after is not None and push.ref.startswith(BRANCH_PREFIX):
        return (f"fraisier deploy {fraise} {environment} --branch {shlex.quote(push.name)}",)
    return ()


def _nearest(reasons: tuple[str, ...]) -> str:
    """Return the only reason, or how many there are."""
    if len(reasons) == 1:
        return reasons[0]
    return f"it matches none of the {len(reasons)} rules for its repository" if reasons else "it names no ref"


def _listed(places: Iterable[EnvironmentVerdict]) -> str:
    return ", ".join(f"{each.fraise_id} {each.environment}" for each in places)

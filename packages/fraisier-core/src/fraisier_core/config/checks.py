"""What can only be seen when the whole configuration is looked at."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence

from fraisier_core.config.backup_before import backup_before
from fraisier_core.config.branch_mapping import Rule
from fraisier_core.config.fraise import Environment, Fraise, environments_of
from fraisier_core.config.reach import ReachSection
from fraisier_core.config.sections import ConfigReader
from fraisier_core.config.yamlfile import Keys
from fraisier_core.errors import UnknownNameError
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.text.suggestions import unknown

OF_DEPLOYMENTS = {
    *ReachSection.model_fields,
    "branch",
    "app_path",
    "health_check",
    "stable_for",
    "keep_releases",
    "skip_deploy",
    "shared",
    "reconcile",
    "freeze",
    "backup_before",
}
"""The keys of fraises and environments that only say how something is deployed."""


def check_whole(reader: ConfigReader, fraises: Mapping[str, Fraise], rules: Sequence[Rule]) -> None:
    """Refuse what does not fit together."""
    _check_rules(reader, rules)
    _check_undeployed(reader, fraises, rules)
    _check_backups_before(reader, fraises)
    _check_branches(reader, fraises, rules)
    _check_app_paths(reader, fraises)
    _check_notified(reader, fraises)


def _check_rules(reader: ConfigReader, rules: Iterable[Rule]) -> None:
    """Refuse rules whose fraise or environment does not exist, and those that are there twice."""
    seen: set[tuple[str, bool, str, str]] = set()
    for rule in rules:
        _check_target(reader, rule)
        key = rule.pattern, rule.tags, rule.fraise, rule.environment
        if key in seen:
            reader.refuse(rule.keys, f"duplicate rule for {rule.fraise} {rule.environment}")
        seen.add(key)


def _check_target(reader: ConfigReader, rule: Rule) -> None:
    fraises = reader.mapping(("fraises",), "fraises")
    if rule.fraise not in fraises:
        reader.refuse((*rule.keys, "fraise"), unknown("fraise", rule.fraise, fraises))
        return
    value = reader.value(("fraises", rule.fraise, "environments"))
    environments = value if isinstance(value, dict) else {}
    if rule.environment not in environments:
        problem = unknown(f"environment of {rule.fraise}", rule.environment, environments)
        reader.refuse((*rule.keys, "environment"), problem)


def _check_undeployed(reader: ConfigReader, fraises: Mapping[str, Fraise], rules: Iterable[Rule]) -> None:
    """Refuse what is said of deploying a fraise whose type is not deployed."""
    for fraise in fraises.values():
        if any(each.is_deployed for each in fraise.environments.values()):
            continue
        why = f'"{fraise.type}" is a type that deploys nothing'
        places = [("fraises", fraise.name), *(_keys(each) for each in fraise.environments.values())]
        for keys in places:
            for key in OF_DEPLOYMENTS & reader.mapping(keys, "keys").keys():
                reader.refuse((*keys, key), f"is of no use here: {why}")
        for rule in rules:
            if rule.fraise == fraise.name:
                reader.refuse((*rule.keys, "fraise"), f"{fraise.name} cannot be pushed to: {why}")


def _check_backups_before(reader: ConfigReader, fraises: Mapping[str, Fraise]) -> None:
    """Refuse a backup before deployments that nothing makes."""
    for environment in environments_of(fraises):
        try:
            backup_before(fraises, environment)
        except UnknownNameError as error:
            reader.refuse((*_keys(environment), "backup_before"), str(error))


def _check_branches(reader: ConfigReader, fraises: Mapping[str, Fraise], rules: Iterable[Rule]) -> None:
    """Refuse an environment whose `branch:` is none of those that the branch mapping deploys there."""
    mapped: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        if not rule.tags:
            mapped.setdefault((rule.fraise, rule.environment), []).append(rule)
    for environment in environments_of(fraises):
        here = mapped.get((environment.fraise, environment.name), [])
        branch = environment.branch
        if branch and here and not any(rule.expression.fullmatch(branch) for rule in here):
            others = " and ".join(f'"{rule.pattern}" (line {reader.line(rule.keys)})' for rule in here)
            problem = f'is "{branch}", but branch_mapping deploys {others} here'
            reader.refuse((*_keys(environment), "branch"), problem)


def _check_app_paths(reader: ConfigReader, fraises: Mapping[str, Fraise]) -> None:
    """Refuse an environment that would be deployed over another one."""
    owners: dict[str, Keys] = {}
    for environment in environments_of(fraises):
        if environment.app_path is None:
            continue
        keys = (*_keys(environment), "app_path")
        owner = owners.setdefault(posixpath.normpath(environment.app_path), keys)
        if owner != keys:
            where = ".".join(map(str, owner))
            reader.refuse(keys, f"is the same as {where} (line {reader.line(owner)})")


def _check_notified(reader: ConfigReader, fraises: Mapping[str, Fraise]) -> None:
    """Refuse the names of those to notify that have no section below `notify:`."""
    sections = reader.mapping(("notify",), "those that are notified")
    known = [name for name, section in sections.items() if isinstance(section, Mapping)]
    said: list[tuple[Keys, Sequence[str] | None]] = [
        (("fraises", each.name), each.notify) for each in fraises.values()
    ]
    said += [
        (_keys(each), each.outcome.notify)
        for each in environments_of(fraises)
        if isinstance(each.outcome, EnvironmentSettings)
    ]
    for keys, names in said:
        for name in names or ():
            if name not in known:
                is_url = "://" in name  # a secret as a whole, shown nowhere
                problem = "should be names of sections below notify:, not URLs"
                reader.refuse(
                    (*keys, "notify"), problem if is_url else unknown("section of notify", name, known)
                )


def _keys(environment: Environment) -> Keys:
    return "fraises", environment.fraise, "environments", environment.name

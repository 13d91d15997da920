"""What no push can match: said as a warning, because `fraisier deploy` works all the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fraisier_core.config.branch_mapping import Rule
from fraisier_core.config.fraise import Fraise, environments_of
from fraisier_core.config.plugin_sections import GitConfig, bound_secrets
from fraisier_core.config.sections import ConfigReader
from fraisier_core.git.addresses import PORTS, parsed
from fraisier_core.git.origins import Origin, Repositories, is_on
from fraisier_core.git.repository import Repository, identities_of


def find_unmatchable(
    reader: ConfigReader, fraises: Mapping[str, Fraise], rules: Iterable[Rule], git: GitConfig
) -> tuple[str, ...]:
    """Return a message for each address and secret that no push can match, with the setting that helps."""
    return (*_addresses(reader, fraises, rules, git), *_bound_secrets(reader, fraises, git))


def _addresses(
    reader: ConfigReader, fraises: Mapping[str, Fraise], rules: Iterable[Rule], git: GitConfig
) -> Iterator[str]:
    mapped = dict.fromkeys((rule.fraise, rule.environment) for rule in rules if rule.fraise in fraises)
    found: dict[str, None] = {}
    for fraise, name in mapped:
        environment = fraises[fraise].environments.get(name)
        problem = environment and _problem(environment.repository, git)
        if problem:
            found[reader.message(("fraises", fraise, "repository"), problem)] = None
    yield from found


def _problem(repository: Repository, git: GitConfig) -> str | None:
    if repository.identity is None:
        return None
    hosts = frozenset[str]().union(*git.hosts.values())
    if any(is_on(each, hosts) for each in repository.identities):
        return None
    if git.hosts and all(git.hosts.values()):
        places = " and ".join(f"git.{name}.hosts" for name in git.hosts)
        return f"no push can match {repository.identity}: list its host in {places}"
    other = _other_name(repository)
    return other and f"{other}; list the forge's own address in `aliases:`"


def _other_name(repository: Repository) -> str | None:
    """Return why pushes call the host of the only address something else: nothing but the configuration of
    ssh can know it, or it is one that forges have for ssh behind a firewall.
    """
    address = parsed(repository.url or "")
    if address is None or address.scheme != "ssh" or len(repository.identities) > 1:
        return None
    if address.port == PORTS["https"]:
        return f"no push may match {repository.identity}: a host of ssh on port 443 often has its own name"
    if {".", "["} & set(address.host) or address.host == "localhost":
        return None
    return f"no push can match {repository.identity}: {address.host} is a host alias of ssh"


def _bound_secrets(reader: ConfigReader, fraises: Mapping[str, Fraise], git: GitConfig) -> Iterator[str]:
    known = Repositories.of(environment.repository for environment in environments_of(fraises))
    for name, settings in git.providers.items():
        for keys, addresses in bound_secrets(reader, name, settings):
            if not known.named_by(Origin(identities_of(addresses))):
                yield reader.message(keys, "no fraise has any of these repositories; add one that has")

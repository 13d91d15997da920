"""Whether a push is of a repository: the one comparison for routing, rules, secrets and hosts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fraisier_core.errors import BoundSecretError
from fraisier_core.git.addresses import PORTS
from fraisier_core.git.repository import Repository, canonical_path, in_any_case, repository_identity
from fraisier_core.push import Push

_PORT = re.compile(r":[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class Origin:
    """The repository that a push comes from, as the push says.

    Args:
        identities: those of its addresses, as far as they are on the hosts of its provider.
        elsewhere: the others.
        name: its full name if the push has no address at all.
        hosts: where a repository of that name may be.
    """

    identities: frozenset[str]
    elsewhere: frozenset[str] = frozenset()
    name: str | None = None
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, push: Push, hosts: frozenset[str] = frozenset()) -> Origin:
        """Return where a push comes from; without `hosts`, it may be any host."""
        if not push.urls:
            return cls(frozenset(), name=canonical_path(push.repository), hosts=hosts)
        named = frozenset(filter(None, map(repository_identity, push.urls)))
        here = frozenset(each for each in named if is_on(each, hosts)) if hosts else named
        return cls(here, named - here, hosts=hosts)

    def within(self, bound: frozenset[str]) -> Origin:
        """Return what a secret that is bound to some repositories leaves of it, in the spelling to which the
        secret is bound: another one may be another repository. Raises `BoundSecretError` if that is nothing.
        """
        named = Repositories(bound).named_by(self)
        if not named:
            raise BoundSecretError(f"its secret is for {listed(bound)}, and the push is to {self}")
        return Origin(named)

    def __str__(self) -> str:
        named = listed(self.identities | self.elsewhere)
        return named or (f"{self.name}, without an address" if self.name else "an unnamed repository")


class Repositories:
    """Repositories that are known by their identities. A push means those that it names exactly; if there are
    none, those that it names in any case of letters.
    """

    def __init__(self, identities: Iterable[str]) -> None:
        self._exact = frozenset(identities)
        self._in_any_case: dict[str, set[str]] = {}
        for each in self._exact:
            self._in_any_case.setdefault(in_any_case(each), set()).add(each)

    @classmethod
    def of(cls, repositories: Iterable[Repository]) -> Repositories:
        """Return those that are known, by each of their addresses."""
        return cls(identity for each in repositories for identity in each.identities)

    def named_by(self, origin: Origin) -> frozenset[str]:
        """Return the identities of those that a push means."""
        if origin.name is not None:
            return self._called(origin.name, origin.hosts)
        looser = (self._in_any_case.get(in_any_case(each), ()) for each in origin.identities)
        return self._exact & origin.identities or frozenset().union(*looser)

    def _called(self, name: str, hosts: frozenset[str]) -> frozenset[str]:
        """Return those on some hosts whose path ends so; a forge may put `scm/` before the full name."""
        if "/" not in name:
            return frozenset()
        ending = f"/{in_any_case(name)}"
        there = [each for each in self._exact if in_any_case(each).endswith(ending) and is_on(each, hosts)]
        return frozenset(each for each in there if each.endswith(f"/{name}")) or frozenset(there)


def covered(push: Push, hosts: frozenset[str], bound: frozenset[str] | None) -> tuple[str, ...]:
    """Return those of a push's addresses that its secret is bound to, None meaning all, in the spelling to
    which it is bound: the others are not recorded, so that no replay is of another repository.
    """
    if bound is None:
        return tuple(push.urls)
    named = Origin.of(push, hosts).within(bound).identities
    kept = {url: identity for url in push.urls if (identity := repository_identity(url)) in named}
    return (*kept, *map(_address, sorted(named.difference(kept.values()))))


def _address(identity: str) -> str:
    """Return an address of a repository; by ssh, because an identity has the ports that are not ssh's."""
    return identity if identity.startswith("/") else f"ssh://{identity}"


def is_on(identity: str, hosts: frozenset[str]) -> bool:
    """Whether a repository is on one of the hosts: a host without a port means all of its ports, one with a
    default port the addresses that have none. A path on this machine is on no host.
    """
    place = identity.partition("/")[0]
    host = _PORT.sub("", place)
    ports = {f"{host}:{port}" for port in PORTS.values()} if place == host else set()
    return bool(place) and not hosts.isdisjoint({host, place} | ports)


def listed(identities: Iterable[str]) -> str:
    """Return identities for a sentence."""
    return ", ".join(sorted(identities))

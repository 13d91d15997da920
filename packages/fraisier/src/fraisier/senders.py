"""Where deliveries come from: the address of a sender, also behind proxies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from fraisier_core.provider_settings import Network

Address = IPv4Address | IPv6Address

CLIENT_SUFFIX_BITS = 64
MAX_HOPS = 20
MAX_HOP_LENGTH = 64
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|([^:]+):\d+")


@dataclass(frozen=True, slots=True)
class Senders:
    """The senders of one provider's deliveries.

    Args:
        allowed: the networks that may send; empty, every network may.
        proxies: the networks of proxies whose `X-Forwarded-For` is believed.
    """

    allowed: tuple[Network, ...] = ()
    proxies: tuple[Network, ...] = ()

    def address(self, peer: str, forwarded: str | None) -> Address | None:
        """Return who sends: the peer or, behind proxies, the last hop that is none of them.

        Args:
            peer: the address that is connected.
            forwarded: `X-Forwarded-For`, several headers joined by commas; each proxy appends its own peer.

        None if it cannot be told, because a hop that a proxy names is no address, or is behind `MAX_HOPS`
        proxies: whoever may write hops could have thousands of them walked.
        """
        address = _address(peer)
        hops = [] if forwarded is None else forwarded.rsplit(",", MAX_HOPS)
        while hops and address is not None and _is_in(address, self.proxies):
            hop = hops.pop()
            address = _address(hop.strip()) if len(hop) <= MAX_HOP_LENGTH else None
        return address

    def allows(self, address: Address | None) -> bool:
        """Whether a sender may send."""
        return not self.allowed or (address is not None and _is_in(address, self.allowed))

    def tells_apart(self, address: Address | None) -> bool:
        """Whether an address is that of one client, and not of a proxy before many. Without `trusted_proxies`
        every private address may be such a proxy.
        """
        if self.proxies:
            return address is None or not _is_in(address, self.proxies)
        return address is not None and address.is_global


def client_of(address: Address | None) -> Address | None:
    """Return what stands for one client: an IPv4 address, or the first of an IPv6 network (/64)."""
    if isinstance(address, IPv6Address):
        return IPv6Address(int(address) >> CLIENT_SUFFIX_BITS << CLIENT_SUFFIX_BITS)
    return address


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


@lru_cache(1024)
def _address(hop: str) -> Address | None:
    """Return the address in a hop, `ADDRESS`, `IPV4:PORT` or `[IPV6]:PORT`; an IPv4-mapped one is IPv4."""
    found = _WITH_PORT.fullmatch(hop)
    try:
        address = ip_address(found[1] or found[2] if found else hop)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # without its scope, which may be any text
    return address

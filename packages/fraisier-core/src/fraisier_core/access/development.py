"""The rule for going without tokens: only this host may ask, and only as itself.

A page of any site can have a browser send requests to this host, under a name of its own that leads here (DNS
rebinding); and what a proxy forwards comes from elsewhere, though it is sent from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from fraisier_core.errors import ConfigurationError

Headers = Iterable[tuple[bytes, bytes]]
"""Names, in any case, and values."""
_HOST = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_FORWARDED = re.compile(rb"forwarded|x[-_]forwarded.*|x[-_]real[-_]ip|via", re.IGNORECASE)


def require_loopback(addresses: Iterable[str], key: str) -> None:
    """Raise `ConfigurationError` unless every address is of the loopback interface.

    Args:
        addresses: those listened on, without their ports.
        key: the setting that asks for it, such as `graphql.development`.
    """
    for address in addresses:
        if not _is_loopback(address):
            away = f"{key}: whoever reaches {address} could deploy without a token"
            raise ConfigurationError([f"{away}; listen on 127.0.0.1 or ::1, or remove it"])


def refusal(headers: Headers) -> str | None:
    """Return why a request is refused that comes without a token, None if it is not."""
    hosts = []
    for name, value in headers:
        if _FORWARDED.fullmatch(name):
            return f"in development, no proxy may forward requests ({name.decode('latin-1')})"
        if name.lower() == b"host":
            hosts.append(value)
    if len(hosts) == 1 and _HOST.fullmatch(hosts[0]):
        return None
    return "in development, the host has to be localhost, 127.0.0.1 or [::1]"


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:  # a socket file or the like is not told apart
        return False

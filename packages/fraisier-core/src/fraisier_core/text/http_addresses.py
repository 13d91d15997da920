"""Addresses over HTTP: which can be asked, and which lead to this host."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit


def http_address(url: str) -> SplitResult:
    """Return the parts of an address to which a request can be made. Raises `ValueError`, which shows nothing
    of it.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
    except ValueError:
        is_address = False
    if not is_address:
        raise ValueError("should be an address that begins with https:// or http://")
    if not is_printable_ascii(url) or " " in url:
        raise ValueError("must hold printable ASCII characters alone, and no space")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or a password")
    return parts


def is_loopback(host: str) -> bool:
    """Whether the host of an address is this one, by its name or a number."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_printable_ascii(text: str) -> bool:
    """Whether a text can be sent in a line of a request as it is."""
    return text.isprintable() and text.isascii()

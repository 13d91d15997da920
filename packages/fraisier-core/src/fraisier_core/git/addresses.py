"""The one grammar of addresses: what is read here, git, ssh, curl and Git LFS read in the same way."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import unquote, unquote_to_bytes

PORTS = {"http": 80, "https": 443, "ssh": 22}

_HOST = r"(?P<host>[A-Za-z0-9_.][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])"
_USER = r"(?P<user>[A-Za-z0-9_.+][A-Za-z0-9_.+-]*)"
_FORMS = tuple(
    re.compile(form, re.DOTALL)
    for form in (
        rf"(?P<scheme>(?i:https?))://(?:(?P<login>[^/?#\\]*)@)?{_HOST}(?::(?P<port>[0-9]{{1,5}}))?(?P<path>/[^?#]*)",
        # git decodes the whole of an ssh address before it looks for its parts.
        rf"(?P<scheme>(?i:ssh))://(?:{_USER}(?::[^/?#\\@%]*)?@)?{_HOST}(?::(?P<port>[0-9]{{1,5}}))?(?P<path>/[^?#]*)",
        r"(?P<scheme>(?i:file))://(?:localhost)?(?P<path>/[^?#]*)",
        # Git LFS takes what is before a second colon for a port.
        rf"(?:{_USER}@)?{_HOST}:(?!//)(?P<path>[^:]+)",
        r"(?P<path>/.*)",
    )
)


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a repository's address.

    Args:
        scheme: `https`, `http`, `ssh` or `file`.
        path: as it is written; of `file`, the path on this machine.
        host: as it is written, in brackets if it is an IPv6 address.
        port: None if it is not written.
        user: of ssh.
        login: of https and http, what is before the host, still encoded.
        url: the address without a password; of https and http, without a user, too.
    """

    scheme: str
    path: str
    host: str = ""
    port: int | None = None
    user: str = ""
    login: str | None = field(default=None, repr=False)
    url: str = ""

    @property
    def is_encoded(self) -> bool:
        """Whether `path` is one that git, or the server, decodes: that of a URL with a host."""
        return self.url.startswith(("https://", "http://", "ssh://"))

    @property
    def place(self) -> str | None:
        """The scheme, host and port, such as `https://forge.example:443`; None on this machine."""
        if self.scheme == "file":
            return None
        return f"{self.scheme}://{self.host.lower()}:{self.port or PORTS[self.scheme]}"


@lru_cache(maxsize=4096)
def parsed(text: str) -> Address | None:
    """Return the parts of an address, None if it is not one that Fraisier fetches from."""
    match = next(filter(None, (form.fullmatch(text) for form in _FORMS)), None)
    if match is None or "\0" in text:
        return None
    found = match.groupdict()
    host, user, path = found.get("host") or "", found.get("user") or "", found["path"]
    port = int(found["port"]) if found.get("port") else None
    if not _is_host(host) or port == 0 or (port or 0) > 65_535 or path.lstrip("/").startswith("-"):
        return None
    scheme = (found.get("scheme") or ("ssh" if host else "file")).lower()
    address = Address(scheme, path, host, port, user, found.get("login"))
    if not found.get("scheme"):
        return replace(address, url=text)
    return _decoded(address) if scheme == "file" else replace(address, url=_url(address))


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return True
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def _url(address: Address) -> str:
    user = f"{address.user}@" if address.user else ""
    port = f":{address.port}" if address.port else ""
    return f"{address.scheme}://{user}{address.host}{port}{address.path}"


def _decoded(address: Address) -> Address | None:
    """Return a `file://` address with its path as git decodes it; None if no path can be so called."""
    try:
        unquote_to_bytes(address.path).decode()
    except UnicodeDecodeError:
        return None
    path = unquote(address.path)
    return None if "\0" in path else replace(address, path=path, url=f"file://{address.path}")

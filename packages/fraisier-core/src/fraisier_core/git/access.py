"""How a repository is reached: the credentials of each place, its host keys, a proxy, certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fraisier_core.git.addresses import parsed


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password or token, for `https://` and `http://`."""

    user: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Key:
    """A private key in OpenSSH or PEM form, for ssh."""

    text: str = field(repr=False)

    @property
    def lines(self) -> list[str]:
        """What is between the first and the last line, which say only that it is a key."""
        return [line.strip() for line in self.text.strip().splitlines()[1:-1] if line.strip()]

    @property
    def content(self) -> str:
        """What ssh reads: lines without CR, the last one with its end."""
        return "\n".join([*self.text.strip().splitlines(), ""])


@dataclass(frozen=True, slots=True)
class Credential:
    """What is answered at some places, each a scheme, host and port as `place_of` says, and nowhere else."""

    places: frozenset[str]
    secret: Login | Key


@dataclass(frozen=True, slots=True)
class Access:
    """What `fraises.yaml` says about reaching the repository of one fraise.

    Args:
        credentials: the first that has a place counts.
        known_hosts: the lines of a known_hosts file, or the absolute path of one.
        proxy: the address of a proxy for `https://` and `http://`; the empty text means none.
        ca_file: the path of certificates that are trusted.
    """

    credentials: tuple[Credential, ...] = field(default=(), repr=False)
    known_hosts: str | None = None
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    def at(self, place: str | None) -> Login | Key | None:
        """Return the credentials for a place, None if it has none."""
        found = (each.secret for each in self.credentials if place in each.places)
        return next(found, None)

    def logins(self) -> dict[str, Login]:
        """Return what is answered over https and http, by the place."""
        found = ((place, each.secret) for each in reversed(self.credentials) for place in each.places)
        return {place: secret for place, secret in found if isinstance(secret, Login)}

    def secrets(self) -> Iterator[str]:
        """Yield what must not be shown; of a key, each line."""
        for each in self.credentials:
            secret = each.secret
            yield from [secret.password] if isinstance(secret, Login) else secret.lines
        if password := proxy_password(self.proxy):
            yield password


NO_ACCESS = Access()


def place_of(url: str) -> str | None:
    """Return the scheme, host and port of an address, such as `https://forge.example:443`; None if it is a
    path, or none that Fraisier fetches from.
    """
    address = parsed(url)
    return address.place if address else None


def places_of(urls: Iterable[str], *schemes: str) -> frozenset[str]:
    """Return the places of some addresses that have one of the schemes."""
    found = (place_of(url) for url in urls)
    return frozenset(place for place in found if place and place.partition(":")[0] in schemes)


def proxy_password(proxy: str | None) -> str | None:
    """Return the password in a proxy's address."""
    try:
        return urlsplit(proxy or "").password
    except ValueError:
        return None

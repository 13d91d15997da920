"""The section of a provider, below `git:`: its secrets, the hosts of its forge, and who may send."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
)

from fraisier_core.settings import AsList, NonEmptySecret, ObserverSettings, Section
from fraisier_core.text.http_settings import HeaderSecret, PrivateUrl

MAX_SECRETS = 20
_HOST_NAME = re.compile(r"([a-z0-9_][a-z0-9_.-]*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def _host_name(host: str) -> str:
    if not _HOST_NAME.fullmatch(host.lower()):
        raise ValueError("is not a host, such as git.example.com or git.example.com:8443")
    return host.lower()


def _network(written: object) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(written if isinstance(written, str) else "")
    except ValueError:
        raise ValueError("should be an address, or a network such as 192.0.2.0/24") from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        raise ValueError("should be written as the IPv4 network that it is")
    return network


Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host_name)], ...], AsList]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network, json_schema_input_type=str)]
Networks = Annotated[tuple[Network, ...], AsList, Field(min_length=1)]


class BoundSecret(Section):
    """A webhook secret that verifies pushes to some repositories alone.

    Args:
        secret: the secret that is shared with the forge.
        repositories: an address of each, or the address of the only one.
    """

    secret: NonEmptySecret
    repositories: Annotated[tuple[str, ...], AsList, Field(min_length=1)]


WebhookSecret = Annotated[
    Annotated[NonEmptySecret, Tag("secret text")] | Annotated[BoundSecret, Tag("bound secret")],
    Discriminator(
        lambda found: "bound secret" if isinstance(found, Mapping | BoundSecret) else "secret text"
    ),
]


API_KEYS = frozenset({"api_token", "api_url"})
"""The keys of a provider's section that observers alone need."""


class ForgeApi(Section, extra="ignore"):
    """What an observer gets of a provider's section.

    Args:
        api_token: a token for the forge's API.
        api_url: the address of the API, None for the one that the provider knows.
        hosts: the forge's host names, in lower case, with or without a port; empty if none are configured.
    """

    api_token: HeaderSecret
    api_url: PrivateUrl | None = None
    hosts: Hosts = ()


class ProviderObserverSettings(ObserverSettings):
    """What the section of an observer says that speaks to the forges of some providers. It needs no section:
    it is active if a section below `git:` of one of its `providers` has an `api_token`.
    """

    providers: ClassVar[Collection[str]] = ()

    @classmethod
    def hosts_of(cls, forge: ForgeApi) -> frozenset[str]:
        """Return the hosts of a forge's repositories; none if they are not known."""
        return frozenset(forge.hosts)


class ProviderSettings(Section):
    """What every provider's section says; a provider adds its own keys by subclassing. One that checks the
    secrets does so in a model validator, by `secrets()`.

    Args:
        type: the provider that it configures; by default, the one that the section is named after.
        webhook_secret: the secret shared with the forge, or a list of them; one may be bound to repositories.
        hosts: the forge's host names, with or without a port. Pushes that name other hosts match nothing.
        allow: the addresses and networks that deliveries come from; by default, any.
        trusted_proxies: those of the proxies whose `X-Forwarded-For` says where a delivery comes from.
        api_token: a token for the forge's API; only the process that tells observers resolves it.
        api_url: the address of the API, if not the one that the provider knows; resolved as `api_token` is.
    """

    type: Annotated[str, Field(min_length=1)] | None = None
    webhook_secret: Annotated[tuple[WebhookSecret, ...], AsList, Field(min_length=1, max_length=MAX_SECRETS)]
    hosts: Hosts = ()
    allow: Networks = ()
    trusted_proxies: Networks = ()
    api_token: HeaderSecret | None = None
    api_url: PrivateUrl | None = None

    @field_validator("webhook_secret")
    @classmethod
    def _distinct(cls, found: tuple[SecretStr | BoundSecret, ...]) -> tuple[SecretStr | BoundSecret, ...]:
        if len(set(map(_secret_text, found))) < len(found):
            raise ValueError("has the same secret twice")
        return found

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets in plain text, for `verify` alone."""
        return tuple(map(_secret_text, self.webhook_secret))

    def bounds(self) -> tuple[tuple[str, ...] | None, ...]:
        """Return for each of the secrets the addresses that it is bound to, None if it is not bound."""
        return tuple(
            each.repositories if isinstance(each, BoundSecret) else None for each in self.webhook_secret
        )


def _secret_text(found: SecretStr | BoundSecret) -> str:
    return (found.secret if isinstance(found, BoundSecret) else found).get_secret_value()

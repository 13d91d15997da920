"""Texts of `fraises.yaml` that are a part of a request over HTTP: addresses, headers, tokens."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from fraisier_core.text.http_addresses import http_address, is_loopback, is_printable_ascii

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)  # RFC 6454
_OWN_HEADERS = {
    "host": "is set by host",
    **dict.fromkeys(("connection", "content-length", "transfer-encoding"), "cannot be set"),
}


def _http_url(url: str) -> str:
    http_address(url)
    return url


def _private_url(url: str) -> str:
    parts = http_address(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("should begin with https://: over http:// the token could be read on the way")
    return url


def _secret_url(url: SecretStr) -> SecretStr:
    http_address(url.get_secret_value())
    return url


def _origin(origin: str) -> str:
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("should be an origin, such as https://panel.example.com or http://localhost:3000")
    return origin.lower()


def _header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("is not the name of a header")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(_OWN_HEADERS[name.lower()])
    return name


def _header_value(value: str) -> str:
    if not is_printable_ascii(value):
        raise ValueError("must be one line of printable ASCII characters")
    return value


def _header_secret(secret: SecretStr) -> SecretStr:
    if not _header_value(secret.get_secret_value()).strip():
        raise ValueError("must not be empty")
    return secret


HttpUrl = Annotated[str, AfterValidator(_http_url)]
PrivateUrl = Annotated[str, AfterValidator(_private_url)]
"""An address to which secrets are sent."""
SecretUrl = Annotated[SecretStr, AfterValidator(_secret_url)]
"""An address that is a secret itself."""
Origin = Annotated[str, AfterValidator(_origin)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_secret)]
"""A secret that is sent in a header."""

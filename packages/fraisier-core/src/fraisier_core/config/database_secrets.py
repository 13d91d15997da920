"""What of `database.url` is secret: its user-info, and parameters that hold a password, a secret or a key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

_USER_INFO = re.compile(r"(?<=://)([^/]*)(?=@)")
_PARAMETER = re.compile(r"(?<=[?&])((?:[^=&]*(?:password|secret|token|_key))[^=&]*=)([^&]*)", re.IGNORECASE)


def without_secrets(url: str) -> str:
    """Return a url with `***` for each of its secrets, fit for messages and logs."""
    return _PARAMETER.sub(r"\1***", _USER_INFO.sub("***", url))


def secrets_of(url: str) -> list[str]:
    """Return each secret of a url, as it is written and as it is meant."""
    return [each for secret in _secrets(url) for each in (secret, unquote(secret))]


def _secrets(url: str) -> Iterator[str]:
    for match in _USER_INFO.finditer(url):
        yield match[1].partition(":")[2]
    for match in _PARAMETER.finditer(url):
        yield match[2]

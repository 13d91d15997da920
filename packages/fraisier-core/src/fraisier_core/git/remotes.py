"""Where a repository is fetched from, with its credentials out of sight."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from fraisier_core.errors import ConfigurationError
from fraisier_core.git.repository import address_problem, repository_identity

# What git may use for each scheme: a server may move on from http to https, and to nothing else.
_PROTOCOLS = {"https": "https", "http": "http:https", "ssh": "ssh", "file": "file"}


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository's address. Credentials are only in `config`, for git's environment alone, and in
    `secrets`, to be redacted. `protocols` is the value of `GIT_ALLOW_PROTOCOL`; `identity` is the same for
    every address of this repository.
    """

    url: str
    protocols: str
    identity: str
    config: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, url: str) -> Remote:
        """Return the remote at `url`. Raises `ConfigurationError`, such as for `ext::`, a command."""
        identity = repository_identity(url)
        if identity is None or address_problem(url) is not None:
            raise ConfigurationError([f"the repository's address {address_problem(url) or 'is none'}"])
        if "://" not in url:
            return cls(url, _PROTOCOLS["file" if url.startswith("/") else "ssh"], identity)
        parts = urlsplit(url)
        if not parts.scheme.startswith("http") or parts.username is None:
            return cls(_without_password(parts), _PROTOCOLS[parts.scheme], identity)
        host = parts.netloc.rpartition("@")[2]
        plain = parts._replace(netloc=host).geturl()
        secrets = (unquote(parts.password or parts.username),)
        return cls(plain, _PROTOCOLS[parts.scheme], identity, _authorization(parts, host), secrets)

    def mirror_path(self, folder: Path) -> Path:
        """Return where in `folder` this repository's mirror lies."""
        readable = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(self.identity.split("/")[-2:])).strip("-.")
        return folder / f"{readable}-{hashlib.sha256(self.identity.encode()).hexdigest()[:12]}.git"


def _without_password(parts: SplitResult) -> str:
    """Return the address with the name alone, which is all that ssh takes from it."""
    user, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=user.partition(":")[0] + at + host).geturl()


def _authorization(parts: SplitResult, host: str) -> dict[str, str]:
    plain = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    header = f"Authorization: Basic {base64.b64encode(plain.encode()).decode()}"
    # A redirect would take the header along to whatever host it names.
    return {f"http.{parts.scheme}://{host}/.extraHeader": header, "http.followRedirects": "false"}

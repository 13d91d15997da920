"""Which repository an address means, so that a push can be matched with the repository of a fraise."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from fraisier_core.git.addresses import PORTS, Address, parsed

GIT_TIMEOUT = 5.0

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
_ACCEPTED = "https://, http://, ssh://, user@host:path, file:// or an absolute path"


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository of an environment; two addresses of one have the same `identity`, or are listed as its
    aliases: `identities` are those of all of them.
    """

    url: str | None = field(default=None, repr=False)
    identity: str | None = None
    unknown: str | None = None
    identities: frozenset[str | None] = frozenset()

    @classmethod
    def at(cls, url: str, aliases: Iterable[str] = ()) -> Repository:
        """Return the repository at an address that `address_problem` accepts, as it does its aliases."""
        identity = repository_identity(url)
        return cls(url, identity, None, frozenset([identity, *map(repository_identity, aliases)]))


def address_problem(url: str) -> str | None:
    """Return why git must not be given this address, as an option or a command; None if it is accepted."""
    if _UNPRINTABLE.search(url):
        return "holds a space or a control character"
    if repository_identity(url) is None:
        return f"should be {_ACCEPTED}"
    return None


def url_password(url: str) -> str | None:
    """Return the password in an address, so that it can be kept out of output."""
    try:
        return urlsplit(url).password
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def repository_identity(url: str) -> str | None:
    """Return `host/path` or an absolute path: the same for every address of one repository. Scheme, user,
    default port, `.git` and slashes at the end make no difference, nor does the case of the host. None if it
    is not an address that Fraisier fetches from.
    """
    address = parsed(url)
    if address is None:
        return None
    return _local_identity(address.path) if address.scheme == "file" else _identity(address)


def _identity(address: Address) -> str | None:
    name = address.path.strip("/").removesuffix(".git").rstrip("/")
    port = "" if address.port in {None, PORTS[address.scheme]} else f":{address.port}"
    return f"{address.host.lower()}{port}/{name}" if name else None


def _local_identity(path: str) -> str | None:
    return posixpath.normpath("/" + path.strip("/")).removesuffix(".git").rstrip("/") or None


def origin_of(app_path: Path) -> Repository:
    """Return the repository that the clone at `app_path` was made from: its remote `origin`."""
    if not (app_path / ".git").exists():
        return Repository(unknown=f"no `repository:`, and no clone at {app_path}")
    try:
        found = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", app_path, "config", "--get", "remote.origin.url"],
            env=_git_environment(app_path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Repository(unknown=f"cannot read the origin of {app_path}: {type(error).__name__}")
    url = os.fsdecode(found.stdout).removesuffix("\n")
    if not url:
        return Repository(unknown=f"the clone at {app_path} has no remote `origin`")
    if problem := address_problem(url):
        return Repository(unknown=f"the origin of {app_path} {problem}")
    return Repository.at(url)


def _git_environment(app_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CEILING_DIRECTORIES": str(app_path.resolve().parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }

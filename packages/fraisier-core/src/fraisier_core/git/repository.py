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
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import quote, unquote_to_bytes, urlsplit

from fraisier_core.git.addresses import PORTS, Address, parsed

GIT_TIMEOUT = 5.0

_IN_LOWER_CASE = str.maketrans(ascii_uppercase, ascii_lowercase)
_PLAIN = "!$&'()*+,;=:@"  # what a path may hold as it is: https://www.rfc-editor.org/rfc/rfc3986#section-3.3
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
_ACCEPTED = "https://, http://, ssh://, user@host:path, file:// or an absolute path"


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository of an environment; a push is to it if an address of the push has one of `identities`:
    those of its own address, and of its aliases.
    """

    url: str | None = field(default=None, repr=False)
    identity: str | None = None
    unknown: str | None = None
    identities: frozenset[str] = frozenset()

    @classmethod
    def at(cls, url: str, aliases: Iterable[str] = ()) -> Repository:
        """Return the repository at an address that `address_problem` accepts, as it does its aliases."""
        return cls(url, repository_identity(url), None, identities_of([url, *aliases]))


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
    default port, `.git` and slashes at the end make no difference, nor does the case of the host, nor which
    characters of the path are percent-encoded; an encoded `/` is none, and dots are left alone. None if it is
    not an address that Fraisier fetches from. It looks at no file: a delivery may name any path.
    """
    address = parsed(url)
    if address is None:
        return None
    return _local_identity(address.path) if address.scheme == "file" else _identity(address)


def identities_of(urls: Iterable[str]) -> frozenset[str]:
    """Return the identities of addresses in the configuration; a local one has a second if a link is on the
    way to it.
    """
    identities = (each for url in urls for each in (repository_identity(url), _resolved_identity(url)))
    return frozenset(filter(None, identities))


def mirror_identity(url: str) -> str | None:
    """Return an identity that two addresses share only if git reaches one repository by both; so it takes a
    path that nothing decodes as it is written.
    """
    address = parsed(url)
    if address is None or address.scheme == "file":
        return repository_identity(url)
    return _identity(address, is_encoded=address.is_encoded)


def in_any_case(identity: str) -> str:
    """Return what is the same for identities that a forge takes for one: of ASCII letters it ignores the
    case. A path on this machine is left as it is.
    """
    return identity if identity.startswith("/") else identity.translate(_IN_LOWER_CASE)


def canonical_path(path: str, *, is_encoded: bool = True) -> str:
    """Return the path of a repository on a forge without `.git` and slashes at its ends, encoded in one way.
    What is encoded is decoded once.
    """
    parts = (part.encode(errors="surrogatepass") for part in path.strip("/").split("/"))
    decoded = map(unquote_to_bytes, parts) if is_encoded else parts
    return "/".join(quote(part, safe=_PLAIN) for part in decoded).removesuffix(".git").rstrip("/")


def _identity(address: Address, *, is_encoded: bool = True) -> str | None:
    name = canonical_path(address.path, is_encoded=is_encoded)
    port = "" if address.port in {None, PORTS[address.scheme]} else f":{address.port}"
    return f"{address.host.lower()}{port}/{name}" if name else None


def _local_identity(path: str) -> str | None:
    return posixpath.normpath("/" + path.strip("/")).removesuffix(".git").rstrip("/") or None


def _resolved_identity(url: str) -> str | None:
    address = parsed(url)
    if address is None or address.scheme != "file":
        return None
    path = address.path.rstrip("/")
    return _local_identity(os.path.realpath(path if os.path.lexists(path) else f"{path}.git"))


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

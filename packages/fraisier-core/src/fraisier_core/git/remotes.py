"""Where a repository is fetched from, with its credentials out of sight."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from fraisier_core.errors import ConfigurationError
from fraisier_core.git.access import NO_ACCESS, Access, Key, Login, place_of, proxy_password
from fraisier_core.git.addresses import Address, parsed
from fraisier_core.git.repository import address_problem, mirror_identity

# What git may use for each scheme: a server may move on from http to https, and to nothing else.
_PROTOCOLS = {"https": "https", "http": "http:https", "ssh": "ssh", "file": "file"}
_SSH = (
    "ssh",
    "-oBatchMode=yes",
    "-oConnectTimeout=30",
    "-oServerAliveInterval=15",
    "-oServerAliveCountMax=4",
)
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
# A credential helper that git runs with the answers in its environment: they are in no argument list, in no
# file and in no configuration but that of the one process. git asks it for its scheme, host and port alone.
_HELPER = (
    '!f() {{ test "$1" != get || printf "username=%s\\npassword=%s\\n" '
    '"$CREDENTIAL_USER_{0}" "$CREDENTIAL_PASSWORD_{0}"; }}; f'
)


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository's address, and how it is reached; `login` is the one in the address. Credentials are for
    git's environment alone, and in `secrets`, to be redacted. `protocols` is the value of
    `GIT_ALLOW_PROTOCOL`; `identity` is the same for every address by which git reaches this repository.
    """

    url: str
    protocols: str
    identity: str
    access: Access = field(default=NO_ACCESS, repr=False)
    login: Login | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, access: Access = NO_ACCESS) -> Remote:
        """Return the remote at `url`. Raises `ConfigurationError`, such as for `ext::`, a command."""
        identity, address = mirror_identity(url), parsed(url)
        if identity is None or address is None or address_problem(url) is not None:
            raise ConfigurationError([f"the repository's address {address_problem(url) or 'is none'}"])
        return cls(address.url, _PROTOCOLS[address.scheme], identity, access, _login(address))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        own = (self.login.password or self.login.user,) if self.login else ()
        proxies = (proxy_password(os.environ.get(name)) for name in _PROXIES)
        return (*own, *self.access.secrets(), *filter(None, proxies))

    @property
    def directories(self) -> list[str]:
        """The places where git may look for a local repository, whoever owns it; none if it is not local."""
        if self.protocols != "file":
            return []
        tops = {self.local_path.rstrip("/"), os.path.realpath(self.local_path)}
        return sorted(f"{top}{end}" for top in tops for end in ("", "/.git", ".git", ".git/.git"))

    @property
    def local_path(self) -> str:
        """The path of a local repository."""
        address = parsed(self.url)
        return address.path if address else ""

    @property
    def keyscan(self) -> str:
        """The command that prints the host keys of a server that is reached by ssh."""
        address = parsed(self.url)
        host = address.host.strip("[]") if address else ""
        port = ["-p", str(address.port)] if address and address.port not in {None, 22} else []
        return shlex.join(["ssh-keyscan", *port, host or "HOST"])

    @property
    def config(self) -> dict[str, str]:
        """Git's configuration for this remote; without a secret but the proxy's."""
        places = enumerate(self._logins())
        config = {f"credential.{place}.helper": _HELPER.format(number) for number, place in places}
        if self.access.proxy is not None:
            config["http.proxy"] = self.access.proxy
        if self.access.ca_file is not None:
            config["http.sslCAInfo"] = self.access.ca_file
        return config

    @property
    def environment(self) -> dict[str, str]:
        """Git's environment for this remote beside `config`; ssh has no key but the user's own yet."""
        env = {name: os.environ[name] for name in _PROXIES if name in os.environ}
        for number, login in enumerate(self._logins().values()):
            env |= {f"CREDENTIAL_USER_{number}": login.user, f"CREDENTIAL_PASSWORD_{number}": login.password}
        return {**env, "GIT_SSH_COMMAND": shlex.join(_SSH), "GIT_ALLOW_PROTOCOL": self.protocols}

    def _logins(self) -> dict[str, Login]:
        """Return what git may answer, by the place: where it is redirected to may be listed, too."""
        place, logins = place_of(self.url), self.access.logins()
        return {**logins, place: self.login} if place and self.login else logins

    @contextmanager
    def opened(self, folder: Path) -> Iterator[dict[str, str]]:
        """Yield git's environment while what ssh reads lies in `folder`, which is this user's alone."""
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
        key, hosts = self.access.at(place_of(self.url)), self.access.known_hosts
        options = list(_SSH)
        if isinstance(key, Key):
            options += ["-oIdentitiesOnly=yes", "-i", str(_written(folder, "key", key.content))]
        if hosts is not None:
            path = (
                hosts if hosts.startswith("/") else str(_written(folder, "known_hosts", f"{hosts.strip()}\n"))
            )
            quoted = path.replace("%", "%%")
            options += ["-oStrictHostKeyChecking=yes", f'-oUserKnownHostsFile="{quoted}"']
            options += ["-oGlobalKnownHostsFile=/dev/null"]
        try:
            yield {**self.environment, "GIT_SSH_COMMAND": shlex.join(options)}
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def mirror_path(self, folder: Path) -> Path:
        """Return where in `folder` this repository's mirror lies."""
        readable = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(self.identity.split("/")[-2:])).strip("-.")
        return folder / f"{readable}-{hashlib.sha256(self.identity.encode()).hexdigest()[:12]}.git"


def _written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / name
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text)
    return path


def _login(address: Address) -> Login | None:
    if address.login is None:
        return None
    user, _, password = address.login.partition(":")
    return Login(unquote(user), unquote(password))

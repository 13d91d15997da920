"""Where a fraise is fetched from and how: addresses, credentials, certificates, and what belongs to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from fraisier_core.git.access import Access, Credential, Key, Login, places_of
from fraisier_core.git.contents import Contents
from fraisier_core.git.repository import address_problem
from fraisier_core.settings import AsList, NonEmptySecret, Section

_TOKEN_USER = "x-access-token"  # noqa: S105 - a name; forges that take a token as password take any
_HOST = re.compile(r"(?:(https?|ssh)://)?([A-Za-z0-9_][A-Za-z0-9_.-]*(?::[0-9]{1,5})?)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEMES = {"ssh_key": ("ssh",), "token": ("https", "http"), "password": ("https", "http")}


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("holds a line end or another control character")
    return text


class CredentialsSection(Section):
    """What is answered when a place asks who is there; exactly one of `ssh_key`, `token` and `password`.

    Args:
        ssh_key: a private key in OpenSSH or PEM form, without a passphrase.
        token: an access token, for https.
        user: the user that goes with `password`, or with `token` if the forge asks for a certain one.
        password: for https.
        host: where it is answered, such as `git.example.com` or `git.example.com:8443`; by default at the
            scheme, host and port of `repository:` and its aliases.
    """

    ssh_key: NonEmptySecret | None = None
    token: NonEmptySecret | None = None
    user: str | None = None
    password: NonEmptySecret | None = None
    host: str | None = None

    @field_validator("user")
    @classmethod
    def _plain_user(cls, user: str | None) -> str | None:
        return user and _one_line(user)

    @field_validator("token", "password")
    @classmethod
    def _plain(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            _one_line(secret.get_secret_value())
        return secret

    @field_validator("ssh_key")
    @classmethod
    def _private(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not key.get_secret_value().lstrip().startswith("-----BEGIN "):
            raise ValueError("is not a private key in OpenSSH or PEM form, such as ${file:/etc/fraisier/key}")
        return key

    @field_validator("host")
    @classmethod
    def _a_host(cls, host: str | None) -> str | None:
        if host is not None and not _HOST.fullmatch(host):
            raise ValueError("is not a host, such as git.example.com or git.example.com:8443")
        return host

    @model_validator(mode="after")
    def _exactly_one(self) -> CredentialsSection:
        if sum(secret is not None for secret in (self.ssh_key, self.token, self.password)) != 1:
            raise ValueError("set exactly one of ssh_key, token, password")
        if (self.password is not None and not self.user) or (self.ssh_key is not None and self.user):
            raise ValueError("`user:` goes with `password:`, which needs it, or with `token:`")
        return self

    @property
    def kind(self) -> str:
        """The key that holds the secret."""
        return next(name for name in _SCHEMES if getattr(self, name) is not None)

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes at which it may be answered."""
        return _SCHEMES[self.kind]

    def credential(self, addresses: Iterable[str]) -> Credential:
        """Return it as git takes it, for its own host or the places of some addresses."""
        secret: SecretStr = getattr(self, self.kind)
        text = secret.get_secret_value()
        answer = Key(text) if self.kind == "ssh_key" else Login(self.user or _TOKEN_USER, text)
        if self.host is None:
            return Credential(places_of(addresses, *self.schemes), answer)
        host = self.host if "://" in self.host else f"{self.schemes[0]}://{self.host}"
        return Credential(places_of([f"{host}/x"], *self.schemes), answer)


class ReachSection(Section):
    """What a fraise says about its repository.

    Args:
        repository: where to fetch from; absent, the origin of the clone at `app_path`.
        aliases: other addresses of the same repository.
        credentials: what is answered at places that ask.
        known_hosts: lines of a known_hosts file, or the absolute path of one; absent, ssh's own files.
        proxy: the proxy for https and http; absent, the variables `https_proxy` and so on.
        ca_file: the file of the certificates to trust; absent, the system's.
        submodules: whether a release holds the files of submodules.
        lfs: whether a release holds the files that are in Git LFS, or pointers to them.
        ignore_filters: filters in `.gitattributes` whose files are taken as they are committed.
        protocols: what submodules and Git LFS may use beside the protocol of `repository:`.
        describe: whether commands get `git describe` in `FRAISIER_DESCRIBE`.
    """

    repository: str | None = None
    aliases: Annotated[tuple[str, ...], AsList] = ()
    credentials: Annotated[tuple[CredentialsSection, ...], AsList] = ()
    known_hosts: Annotated[str, Field(min_length=1)] | None = None
    proxy: str | None = None
    ca_file: Path | None = None
    submodules: bool = True
    lfs: bool = True
    ignore_filters: Annotated[tuple[str, ...], AsList] = ()
    protocols: Annotated[tuple[Literal["https", "http", "ssh"], ...], AsList] = ()
    describe: bool = False

    @field_validator("repository", "aliases")
    @classmethod
    def _accepted(cls, found: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for address in [found] if isinstance(found, str) else found or ():
            if problem := address_problem(address):
                raise ValueError(problem)
        return found

    @field_validator("ca_file")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_absolute():
            raise ValueError("must be an absolute path")
        return path

    @model_validator(mode="after")
    def _answered_somewhere(self) -> ReachSection:
        addresses = [*([self.repository] if self.repository else []), *self.aliases]
        for each in self.credentials:
            if self.repository and not each.credential(addresses).places:
                raise ValueError(
                    f"`{each.kind}:` is for {each.schemes[0]}://, and `repository:` has no such address; "
                    "give the credentials a `host:`, or the repository another address"
                )
        return self

    def access(self, url: str) -> Access:
        """Return how the repository, which is at `url`, is reached."""
        credentials = [each.credential([url, *self.aliases]) for each in self.credentials]
        ca_file = str(self.ca_file) if self.ca_file else None
        return Access(tuple(credentials), self.known_hosts, self.proxy, ca_file)

    def contents(self) -> Contents:
        """Return what of the repository becomes part of a release."""
        filters, protocols = frozenset(self.ignore_filters), frozenset(self.protocols)
        return Contents(self.submodules, self.lfs, filters, protocols)


REACH: tuple[str, ...] = tuple(ReachSection.model_fields)
"""The keys of a fraise that say how its repository is reached."""

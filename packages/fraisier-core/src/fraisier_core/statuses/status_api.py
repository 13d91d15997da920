"""How a forge takes the status of a commit: what its provider says of that, by subclassing `StatusApi`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar
from urllib.parse import quote, urlsplit

from fraisier_core.provider_settings import ForgeApi
from fraisier_core.statuses.commit_status import CommitState, CommitStatus
from fraisier_core.system.outgoing import HttpResponse


class StatusApi:
    """The part of the API of one forge that takes commit statuses.

    A subclass says `providers`, `path`, `states`, `headers`, `place` and `body`, and the rest if the forge
    differs.

    Args:
        forge: what the section says of it.

    Attributes:
        providers: the names of those whose sections have the tokens.
        path: how `api_url` ends, such as `/api/v4`; what is before it is where the forge is.
        states: what the forge calls each state.
        public_url: the API of the forge that everybody can use, None if everybody runs their own.
        public_hosts: the hosts of that forge's repositories.
        context_length: how many characters of a context the forge takes.
        description_length: and of a description.
        url_length: and of an address; a longer one is left out.
    """

    providers: ClassVar[Collection[str]]
    path: ClassVar[str]
    states: ClassVar[Mapping[CommitState, str]]
    public_url: ClassVar[str | None] = None
    public_hosts: ClassVar[frozenset[str]] = frozenset()
    context_length: ClassVar[int] = 255
    description_length: ClassVar[int] = 255
    url_length: ClassVar[int] = 255

    def __init__(self, forge: ForgeApi) -> None:
        self.forge = forge
        self.token = forge.api_token.get_secret_value()

    @classmethod
    def of(cls, forge: ForgeApi) -> StatusApi:
        """Return the API that a section means: another class, if a provider knows two."""
        return cls(forge)

    @property
    def url(self) -> str | None:
        """The address of the API, without a slash at its end; None if nobody says it."""
        url = self.forge.api_url or self.public_url
        return url and url.rstrip("/")

    @property
    def site(self) -> str:
        """The address of the forge itself, by which people see it."""
        return (self.url or "").removesuffix(self.path)

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts of its repositories."""
        if self.forge.hosts:
            return frozenset(self.forge.hosts)
        if self.forge.api_url is None:
            return self.public_hosts
        return frozenset({urlsplit(self.forge.api_url).hostname or ""})

    def headers(self) -> Mapping[str, str]:
        """Return the headers of a request, with the token."""
        raise NotImplementedError

    def place(self, status: CommitStatus) -> str:
        """Return the path below `api_url` to which the status of a commit is sent. Quote what you insert."""
        raise NotImplementedError

    def body(self, status: CommitStatus, state: str) -> Mapping[str, object]:
        """Return the body of a request, which is sent as JSON.

        Args:
            status: of which the texts are no longer than the forge takes.
            state: the forge's name of its state.
        """
        raise NotImplementedError

    def fitting(self, status: CommitStatus) -> CommitStatus:
        """Return a status with texts no longer than the forge takes."""
        return status.within(
            context=self.context_length, description=self.description_length, url=self.url_length
        )

    def repository(self, path: str) -> str:
        """Return the full name of a repository from the path of its address, without `.git`."""
        return path

    def is_told(self, response: HttpResponse) -> bool:
        """Whether a response says that the commit has the status."""
        return 200 <= response.status < 300

    def pause(self, response: HttpResponse, now: datetime) -> float | None:
        """Return after how many seconds the forge wants to be asked again, 0 if it does not say when; None if
        it refuses for good.
        """
        if response.status == 429:
            return retry_after(response, now)
        return None


def retry_after(response: HttpResponse, now: datetime) -> float:
    """Return the seconds that `Retry-After` asks for, as a number or a date (RFC 9110, 10.2.3); 0 if it is
    missing or is neither.
    """
    said = response.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal():
        return float(said[:9])
    try:
        return max(0.0, (parsedate_to_datetime(said) - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def quoted(*parts: str) -> str:
    """Return the parts of a path, each encoded as a whole, with slashes between them."""
    return "/".join(quote(part, safe="") for part in parts)

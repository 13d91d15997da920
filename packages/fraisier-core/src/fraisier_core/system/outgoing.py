"""Requests that go out over HTTP: each to one host, within a time, and with a bounded answer.

No proxy is used. Nothing but the host stands in an error: the rest of an address, a header and a body may be
secret.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urljoin, urlsplit

from fraisier_core.errors import NoResponseError
from fraisier_core.system.outgoing_connection import PORTS, OutgoingConnection
from fraisier_core.text.http_addresses import http_address
from fraisier_core.text.printable import printable

MAX_RESPONSE_BYTES = 64 * 1024
MAX_REDIRECTS = 3
SPARE_SECONDS = 5.0
"""How long after the time is over the system gives up what could not be closed."""
KEEPS_METHOD = frozenset({307, 308})
"""The redirects after which a request is made again as it was."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What a server answered; the names of headers are in lower case, and a long body is cut off."""

    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


def ask(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"", *, seconds: float
) -> HttpResponse:
    """Make a request, and return the answer, whatever its status.

    A redirect is followed only to the same scheme, host and port, and only if it keeps the method, so that
    credentials reach no other server. Any other one is the answer.

    Args:
        method: such as `POST`.
        url: an http or https address.
        headers: beside `Host` and `Content-Length`.
        body: may be empty.
        seconds: that everything may take, looking up the name included.

    Raises `NoResponseError`.
    """
    until = time.monotonic() + seconds
    try:
        parts = http_address(url)
    except ValueError as error:
        raise NoResponseError(f"nothing was asked: the address {error}") from None
    for _ in range(1 + MAX_REDIRECTS):
        answer = _Exchange(parts, until, seconds).answer(method, headers or {}, body)
        further = _further(parts, answer)
        if further is None:
            return answer
        parts = further
    raise NoResponseError(f"{origin(url)} redirects again and again")


def origin(url: str) -> str:
    """Return the scheme, host and port of an address, without what may be secret in it."""
    return _origin(urlsplit(url))


class _Exchange:
    """One request and its answer, in a thread: the system bounds no more than each part of looking up a name
    and of reading; when the time is over, the connection is closed under it.
    """

    def __init__(self, url: SplitResult, until: float, seconds: float) -> None:
        self._url = url
        self._until = until
        self._seconds = seconds
        self._outcome: HttpResponse | str | None = None
        self._connection = OutgoingConnection()

    def answer(self, method: str, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        """Return the answer. Raises `NoResponseError`."""
        thread = threading.Thread(target=self._ask, args=(method, headers, body), daemon=True)
        thread.start()
        thread.join(max(0.0, self._until - time.monotonic()))
        self._connection.hang_up()
        outcome = self._outcome
        if isinstance(outcome, HttpResponse):
            return outcome
        why = f": {outcome}" if outcome else f" within {self._seconds:g} s"
        raise NoResponseError(f"no answer from {_origin(self._url)}{why}")

    def _ask(self, method: str, headers: Mapping[str, str], body: bytes) -> None:
        try:
            outcome: HttpResponse | str = self._exchange(method, headers, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            outcome = _said(error)
        if not self._connection.is_over:  # otherwise it was cut off
            self._outcome = outcome

    def _exchange(self, method: str, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        late = max(0.0, self._until - time.monotonic()) + SPARE_SECONDS
        sent = {**headers, "Host": self._url.netloc.rpartition("@")[2]}
        with self._connection.requested(method, self._url, sent, body, late) as response:
            return _read(response)


def _read(response: http.client.HTTPResponse) -> HttpResponse:
    headers = {name.lower(): value for name, value in response.getheaders()}
    body = response.read(MAX_RESPONSE_BYTES)
    return HttpResponse(response.status, printable(response.reason), headers, body)


def _further(url: SplitResult, answer: HttpResponse) -> SplitResult | None:
    """Return where the same request is to be made again, None if nowhere."""
    location = answer.headers.get("location")
    if answer.status not in KEEPS_METHOD or not location:
        return None
    try:
        further = urlsplit(urljoin(url.geturl(), location))
        return further if _origin(further) == _origin(url) else None
    except ValueError:
        return None


def _origin(url: SplitResult) -> str:
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    port = url.port or PORTS.get(url.scheme)
    return f"{url.scheme}://{host}" + (f":{port}" if port != PORTS.get(url.scheme) else "")


def _said(error: Exception) -> str:
    """Return what the system says of an error; other texts quote what was sent."""
    found = isinstance(error, OSError) and (getattr(error, "verify_message", None) or error.strerror)
    return printable(found or type(error).__name__)

"""Probing a service over the network; a module of its own, for the library for HTTP is large."""

from __future__ import annotations

import base64
import http.client
import threading
import time
from collections.abc import Callable
from urllib.parse import SplitResult, unquote, urlsplit

from fraisier_core.engine.answers import mismatch
from fraisier_core.errors import CancelledError
from fraisier_core.health import Health
from fraisier_core.settings import Expectation, HealthCheck
from fraisier_core.system.commands import Interruption
from fraisier_core.system.outgoing_connection import OutgoingConnection
from fraisier_core.text.printable import printable

SETTING = "health_check.timeout"
_TICK_SECONDS = 0.05
_SHOWN = 400


def probe_address(check: HealthCheck, cancelled: Interruption) -> Health:
    """Probe an address or a connection once, for at most `check.timeout`. Raises `CancelledError`."""
    return _Attempt(check).ask(_get if check.url else _connected, cancelled)


class _Attempt:
    """One connection in a thread, ended when its time is over, however slowly the other side responds."""

    def __init__(self, check: HealthCheck) -> None:
        self.check = check
        self.url = urlsplit(check.url or f"tcp://{check.tcp}")
        late = f"within {check.timeout:g} s ({SETTING})"
        self._answer = Health(False, f"no answer from {_address(self.url)} {late}")
        self.connection = OutgoingConnection()

    def ask(self, question: Callable[[_Attempt], Health], cancelled: Interruption) -> Health:
        """Return the answer to a question, or that there was none in time."""
        until = time.monotonic() + self.check.timeout
        thread = threading.Thread(target=self._answer_to, args=(question,), daemon=True)
        thread.start()
        try:
            while thread.is_alive() and (left := until - time.monotonic()) > 0:
                thread.join(min(_TICK_SECONDS, left))
                if cancelled.is_set():
                    raise CancelledError(f"cancelled while probing {_address(self.url)}")
            return self._answer
        finally:
            self.connection.hang_up()

    def _answer_to(self, question: Callable[[_Attempt], Health]) -> None:
        try:
            self._answer = question(self)
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error) or repr(error)
            self._answer = Health(False, f"no answer from {_address(self.url)}: {printable(said)}")


def _connected(attempt: _Attempt) -> Health:
    attempt.connection.open(attempt.url.hostname or "", attempt.url.port or 0, attempt.check.timeout).close()
    return Health(True, f"{_address(attempt.url)} accepts connections")


def _get(attempt: _Attempt) -> Health:
    """GET the address; its body is read only if it is expected to say something, no redirect is followed, and
    no proxy is used.
    """
    url, check = attempt.url, attempt.check
    sent = _headers(url, check)
    with attempt.connection.requested("GET", url, sent, b"", check.timeout) as response:
        return _verdict(response, url, check.expect or Expectation())


def _headers(url: SplitResult, check: HealthCheck) -> dict[str, str]:
    headers = {}
    if url.username is not None:
        login = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    given = {name.title(): value for name, value in check.headers.items()}
    return headers | given | {"Host": check.host or url.netloc.rpartition("@")[2]}


def _verdict(response: http.client.HTTPResponse, url: SplitResult, expect: Expectation) -> Health:
    detail = f"{response.status} from {_address(url)}"
    if expect.takes(response.status):
        other = mismatch(expect, response)
        return Health(other is None, f"{detail}, but {other}" if other else detail)
    if expect.status is not None:
        return Health(False, f"{detail}, not {expect.status}")
    if 300 <= response.status < 400:
        where = printable(response.headers.get("Location", "nowhere"))
        detail += f", which points to {where[:_SHOWN]}; a health check follows no redirect"
    return Health(False, detail)


def _address(url: SplitResult) -> str:
    """Return the address as people know it, without credentials."""
    host = url.netloc.rpartition("@")[2]
    return host if url.scheme == "tcp" else url._replace(netloc=host).geturl()

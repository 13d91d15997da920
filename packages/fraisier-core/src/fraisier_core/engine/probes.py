"""One probe of a service: by HTTP, a command, a TCP connection, or its unit."""

from __future__ import annotations

import base64
import http.client
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from fraisier_core.errors import CancelledError, CommandFailedError, StepFailedError
from fraisier_core.health import Health
from fraisier_core.settings import HealthCheck
from fraisier_core.system.commands import Limits, run_command, shown
from fraisier_core.system.systemd import unit_state
from fraisier_core.text.printable import printable

_SETTING = "health_check.timeout"
_TICK_SECONDS = 0.05
_SHOWN = 400


def probe(check: HealthCheck, *, cwd: Path, env: Mapping[str, str], cancelled: threading.Event) -> Health:
    """Probe once, for at most `check.timeout`.

    Args:
        check: how to probe.
        cwd: where a command starts.
        env: a command's environment.
        cancelled: once set, the probe ends.

    Raises `CancelledError` if it was cancelled; whatever else goes wrong is an unhealthy verdict.
    """
    if check.url is not None:
        return _Attempt(urlsplit(check.url), check.timeout).ask(_get, cancelled)
    if check.tcp is not None:
        return _Attempt(urlsplit(f"tcp://{check.tcp}"), check.timeout).ask(_connected, cancelled)
    if check.command is not None:
        return _command(check.command, check.timeout, cwd, env, cancelled)
    return _unit(check.unit or "", check.timeout)


class _Attempt:
    """One connection, closed when its time is over, however slowly the other side responds.

    The system bounds no more than each part of looking up a name and reading a response: a thread does that.
    """

    def __init__(self, url: SplitResult, timeout: float) -> None:
        self.url = url
        self.timeout = timeout
        self._until = time.monotonic() + timeout
        self._answered = threading.Event()
        self._answer = Health(False, f"no answer from {_address(url)} within {timeout:g} s ({_SETTING})")
        self._connection: socket.socket | None = None
        self._over = False

    def ask(self, question: Callable[[_Attempt], Health], cancelled: threading.Event) -> Health:
        """Return the answer to a question, or that there was none in time."""
        threading.Thread(target=self._answer_to, args=(question,), daemon=True).start()
        try:
            while not self._answered.wait(min(_TICK_SECONDS, max(0.0, self._until - time.monotonic()))):
                if cancelled.is_set():
                    raise CancelledError(f"cancelled while probing {_address(self.url)}")
                if time.monotonic() >= self._until:
                    break
            return self._answer
        finally:
            self._hang_up()

    def connect(self, port: int) -> socket.socket:
        """Return a connection that ends with this attempt."""
        connection = socket.create_connection((self.url.hostname or "", port), timeout=self.timeout)
        self._connection = connection.dup()
        if self._over:
            self._hang_up()
        return connection

    def _answer_to(self, question: Callable[[_Attempt], Health]) -> None:
        try:
            answer = question(self)
        except (OSError, http.client.HTTPException, ValueError) as error:
            answer = Health(False, f"no answer from {_address(self.url)}: {printable(_said(error))}")
        if not self._over:
            self._answer = answer
        self._answered.set()

    def _hang_up(self) -> None:
        self._over = True
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._connection.close()


def _connected(attempt: _Attempt) -> Health:
    attempt.connect(attempt.url.port or 0).close()
    return Health(True, f"{_address(attempt.url)} accepts connections")


def _get(attempt: _Attempt) -> Health:
    """GET the address; its body is not read, no redirect is followed, and no proxy is used."""
    url = attempt.url
    secure = url.scheme == "https"
    plain = attempt.connect(url.port or (443 if secure else 80))
    with plain, _encrypted(plain, url) if secure else plain as connection:
        client = http.client.HTTPConnection(url.hostname or "")
        client.sock = connection
        client.request(
            "GET", url._replace(scheme="", netloc="", fragment="").geturl() or "/", headers=_headers(url)
        )
        with client.getresponse() as response:
            return _verdict(response, url)


def _encrypted(connection: socket.socket, url: SplitResult) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(connection, server_hostname=url.hostname)


def _headers(url: SplitResult) -> dict[str, str]:
    headers = {"Host": url.netloc.rpartition("@")[2], "User-Agent": "fraisier", "Connection": "close"}
    if url.username is None:
        return headers
    login = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
    return headers | {"Authorization": f"Basic {base64.b64encode(login).decode()}"}


def _verdict(response: http.client.HTTPResponse, url: SplitResult) -> Health:
    detail = f"{response.status} from {_address(url)}"
    if 300 <= response.status < 400:
        where = printable(response.headers.get("Location", "nowhere"))
        detail += f", which points to {where[:_SHOWN]}; a health check follows no redirect"
    return Health(200 <= response.status < 300, detail)


def _address(url: SplitResult) -> str:
    """Return the address as people know it, without credentials."""
    host = url.netloc.rpartition("@")[2]
    return host if url.scheme == "tcp" else url._replace(netloc=host).geturl()


def _command(
    argv: list[str], timeout: float, cwd: Path, env: Mapping[str, str], cancelled: threading.Event
) -> Health:
    printed = bytearray()

    def keep(data: bytes) -> None:
        printed.extend(data)
        del printed[:-_SHOWN]

    try:
        run_command(
            argv,
            cwd=cwd,
            env=env,
            limits=Limits(wall=timeout, silence=math.inf, grace=1.0),
            on_output=keep,
            cancelled=cancelled,
        )
    except CommandFailedError as error:
        said = printable(printed.decode("utf-8", "replace")).strip()
        setting = f" ({_SETTING})" if "timed out" in str(error) else ""
        return Health(False, f"{error}{setting}: {said.splitlines()[-1]}" if said else f"{error}{setting}")
    return Health(True, f"{shown(argv)} succeeded")


def _unit(name: str, timeout: float) -> Health:
    try:
        state = unit_state(name, timeout)
    except StepFailedError as error:
        return Health(False, str(error))
    return Health(state.is_active, str(state))


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or repr(error)

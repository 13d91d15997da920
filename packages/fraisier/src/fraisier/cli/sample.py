"""The sample deliveries of `fraisier webhooks test`, from the configuration to the record of the server."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPSConnection
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import typer
from fraisier_core.errors import PluginError, StepFailedError, UnknownNameError
from fraisier_core.push import SampleDelivery
from fraisier_core.system.processes import forbid_dumps
from fraisier_core.text.suggestions import unknown

from fraisier.cli.session import ActingSession
from fraisier.cli.tables import short_id
from fraisier.exit_codes import ExitCode
from fraisier.terminal import clean_line, print_json, say, tell

TIMEOUT_SECONDS = 10.0
MAX_RESPONSE_BYTES = 65_536
MAX_SHOWN = 200
_REFUSED = (
    "the server has another secret: start it again if git.{name}.webhook_secret or its variable changed; or"
    " git.{name}.allow does not hold the address of this host; `fraisier webhooks list` has its reason"
)
_ADVICE = {
    http.client.UNAUTHORIZED: _REFUSED,
    http.client.TOO_MANY_REQUESTS: _REFUSED,
    http.client.NOT_FOUND: "the server has no section git.{name}: it has another configuration",
    http.client.SERVICE_UNAVAILABLE: "the log of the server says more: `journalctl -u fraisier-webhook`",
}
_OTHER = "is it `fraisier-webhook` that responds there, or a proxy before it?"
_ENDPOINT = re.compile(r"/webhook(/[^/]*)?/?\Z")


class Response(NamedTuple):
    """A response of the server; `values` are empty if it is not JSON."""

    status: int
    values: Mapping[str, object]

    def error(self, secrets: Iterable[str]) -> str:
        """Return what it says is wrong; it may quote what was sent, but not the secrets."""
        text = clean_line(str(self.values.get("error", "no reason is given")))
        for secret in secrets:
            text = text.replace(secret, "***")
        return text[:MAX_SHOWN]


class Tried(NamedTuple):
    """What became of the delivery that a secret signed: its id in the record, or why it did not get there.
    Secrets are numbered from 1.
    """

    number: int
    delivery: str | None = None
    problem: str | None = None


def send_samples(session: ActingSession, name: str | None, url: str, *, as_json: bool) -> ExitCode:
    """Send, signed with each secret of a provider, a delivery that requests nothing, and print each step that
    succeeds; beside JSON, to standard error. Return the exit code: a failure if one of them fails. Raises an
    error that says what to do if none can be sent: `UnknownNameError`, `PluginError` or `StepFailedError`.
    """
    forbid_dumps()
    show = tell if as_json else say
    show(f"configuration: {session.config.path}")
    name = _configured(session, name)
    plugin = session.plugins.provider(session.config.git.types[name])
    secrets = session.config.git.providers[name].secrets()
    show(f"plugin: {plugin.name}")
    samples = [plugin.sample_delivery(each, datetime.now(UTC)) for each in secrets]
    address = _address(url, name)
    _check_reached(address)
    show(f"server: {address.geturl()} is reached")
    sender = _Sender(session, name, secrets, address, show)
    tried = [sender.tried(number, sample) for number, sample in enumerate(samples, 1)]
    if as_json:
        where = {"configuration": str(session.config.path), "provider": name, "plugin": plugin.name}
        print_json(where | {"url": address.geturl(), "secrets": [each._asdict() for each in tried]})
    return ExitCode.FAILED if any(each.problem for each in tried) else ExitCode.SUCCESS


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends samples to a server, and shows each step."""

    session: ActingSession
    name: str
    secrets: tuple[str, ...] = field(repr=False)
    address: SplitResult
    show: Callable[[str], None]

    def tried(self, number: int, sample: SampleDelivery) -> Tried:
        """Send the sample of a secret, and say what failed."""
        count, where = len(self.secrets), f"git.{self.name}.webhook_secret"
        which = f"the one of {where}" if count == 1 else f"{number} of {count} of {where}"
        self.show(f"secret: {which}")
        try:
            return Tried(number, self._recorded(self._accepted(self._sent(sample))))
        except StepFailedError as error:
            tell(f"{error}" if count == 1 else f"secret {which}: {error}")
            return Tried(number, problem=str(error))

    def _sent(self, sample: SampleDelivery) -> Response:
        """Return the response. No proxy is used and no redirect followed: a header may carry the secret."""
        headers = {"content-type": "application/json", **sample.headers}
        connection = _connection(self.address)
        try:
            connection.request("POST", self.address.path, sample.body, headers)
            response = connection.getresponse()
            return Response(response.status, _values(response.read(MAX_RESPONSE_BYTES)))
        except (OSError, http.client.HTTPException) as error:
            raise StepFailedError(f"response: none, but: {_problem(error)}; {_OTHER}") from None
        except ValueError:  # whose text holds the header
            problem = f"no header can carry the secret of git.{self.name}"
            why = "it has characters that HTTP does not allow"
            raise StepFailedError(f"secret: {problem}: {why}; give it another") from None
        finally:
            connection.close()

    def _accepted(self, response: Response) -> str:
        """Return the id of the event. Raises `StepFailedError` unless the server verified and ignored it."""
        event_id = response.values.get("event")
        if response.values.get("status") == "ignored" and isinstance(event_id, str):
            self.show(f"response: {response.status} ignored")
            return event_id
        advice = _ADVICE.get(response.status, _OTHER).format(name=self.name)
        raise StepFailedError(f"response: {response.status} ({response.error(self.secrets)}); {advice}")

    def _recorded(self, event_id: str) -> str:
        try:
            reader, found = self.session.found_delivery(event_id)
        except UnknownNameError:
            where = f"the server records in another store than {self.session.place.shown}"
            raise StepFailedError(f"record: {where}: it has another configuration") from None
        details = reader.delivery(found)
        reader.close()
        verdict = f"{details.delivery.verdict}: {'; '.join(details.reasons)}"
        self.show(f"record: delivery {short_id(found)} is {verdict}")
        return found


def _configured(session: ActingSession, name: str | None) -> str:
    """Return the section of a provider that can be used."""
    git = session.config.git
    wanted = name or git.default
    if wanted is None:
        raise UnknownNameError("no provider is named: give one, or set git.provider")
    if wanted in git.missing:
        raise PluginError(git.missing[wanted])
    if wanted not in git.providers:
        raise UnknownNameError(unknown("provider under `git:`", wanted, git.types))
    return wanted


def _address(url: str, name: str) -> SplitResult:
    """Return where the server takes deliveries for a provider; the URL may be that of a forge's webhook."""
    parts = urlsplit(url)
    try:
        has_host = bool((parts.hostname or "").encode("idna")) and parts.port != 0
        usable = has_host and parts.scheme in {"http", "https"} and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable or not parts.path.isascii():
        raise typer.BadParameter("--url takes an address such as http://127.0.0.1:8080")
    path = _ENDPOINT.sub("", parts.path).rstrip("/")
    return parts._replace(path=f"{path}/webhook/{name}", query="", fragment="")


def _check_reached(address: SplitResult) -> None:
    """Raise `StepFailedError` if no server takes a connection."""
    connection = _connection(address)
    try:
        connection.connect()
    except OSError as error:
        start = "start `fraisier-webhook`, or name its address with --url"
        problem = f"{address.netloc} is not reached: {_problem(error)}"
        raise StepFailedError(f"server: {problem}; {start}") from None
    finally:
        connection.close()


def _connection(address: SplitResult) -> HTTPConnection:
    host, port = address.hostname or "", address.port
    if address.scheme == "http":
        return HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    return HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())


def _problem(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _values(body: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

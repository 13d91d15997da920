"""The sample delivery of `fraisier webhooks test`, from the configuration to the record of the server."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import typer
from fraisier_core.errors import PluginError, StepFailedError, UnknownNameError
from fraisier_core.provider_settings import ProviderSettings
from fraisier_core.push import SampleDelivery
from fraisier_core.store.received import DeliveryDetails
from fraisier_core.system.processes import forbid_dumps
from fraisier_core.text.suggestions import unknown

from fraisier.cli.session import ActingSession
from fraisier.cli.tables import short_id
from fraisier.terminal import clean_line, say

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


def send_sample(session: ActingSession, name: str | None, url: str) -> None:
    """Send a delivery that requests nothing, and print each step that succeeds. Raises an error that says
    what to do at the first that fails: `UnknownNameError`, `PluginError` or `StepFailedError`.
    """
    forbid_dumps()
    say(f"configuration: {session.config.path}")
    name = _configured(session, name)
    provider = session.plugins.provider(session.config.git.types[name])
    settings = session.config.git.providers[name]
    say(f"plugin: {provider.name}")
    sample = provider.sample_delivery(settings.secrets()[0], datetime.now(UTC))
    say(f"secret: {_secrets(name, settings)}")
    address = _address(url, name)
    response = _sent(address, sample, name)
    say(f"server: {address.geturl()} is reached")
    event_id = _accepted(name, response, settings)
    say(f"response: {response.status} {response.values['status']}")
    found = _recorded(session, event_id)
    say(f"record: delivery {short_id(event_id)} is {found.delivery.verdict}: {'; '.join(found.reasons)}")


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


def _secrets(name: str, settings: ProviderSettings) -> str:
    count = len(settings.secrets())
    where = f"git.{name}.webhook_secret"
    return f"the one of {where}" if count == 1 else f"the first of {count} of {where}"


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


def _sent(address: SplitResult, sample: SampleDelivery, name: str) -> Response:
    """Return the response. No proxy is used and no redirect followed: a header may carry the secret."""
    host = address.hostname or ""
    connection = (
        http.client.HTTPSConnection(
            host, address.port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
        )
        if address.scheme == "https"
        else http.client.HTTPConnection(host, address.port, timeout=TIMEOUT_SECONDS)
    )
    headers = {"content-type": "application/json", **sample.headers}
    try:
        connection.request("POST", address.path, sample.body, headers)
        response = connection.getresponse()
        return Response(response.status, _values(response.read(MAX_RESPONSE_BYTES)))
    except (OSError, http.client.HTTPException) as error:
        problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
        start = "start `fraisier-webhook`, or name its address with --url"
        raise StepFailedError(f"server: {address.netloc} is not reached: {problem}; {start}") from None
    except ValueError:  # whose text holds the header
        problem = f"no header can carry the secret of git.{name}: it has characters that HTTP does not allow"
        raise StepFailedError(f"server: {problem}; give it another") from None
    finally:
        connection.close()


def _values(body: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _accepted(name: str, response: Response, settings: ProviderSettings) -> str:
    """Return the id of the event. Raises `StepFailedError` unless the server verified and ignored it."""
    event_id = response.values.get("event")
    if response.values.get("status") == "ignored" and isinstance(event_id, str):
        return event_id
    advice = _ADVICE.get(response.status, _OTHER).format(name=name)
    error = response.error(settings.secrets())
    raise StepFailedError(f"response: {response.status} ({error}); {advice}")


def _recorded(session: ActingSession, event_id: str) -> DeliveryDetails:
    try:
        reader, found = session.found_delivery(event_id)
    except UnknownNameError:
        where = f"the server records in another store than {session.place.shown}"
        raise StepFailedError(f"record: {where}: it has another configuration") from None
    return reader.delivery(found)

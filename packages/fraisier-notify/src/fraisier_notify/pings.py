"""Dead man's switches: what a service such as healthchecks.io hears of each run and backup.

The protocol: https://healthchecks.io/docs/http_api/. `/start` is added to the address when a run begins,
nothing when it succeeds, `/fail` when it fails, with its last lines as the body; `rid` says which run it is.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from fraisier_core import Deployment, DeploymentEvent, NoResponseError, ObserverContext, ask

from fraisier_notify.outbox import Letter
from fraisier_notify.sending import Problem

PING_SECONDS = 5.0
MAX_BODY_BYTES = 10_000
_MAY_HELP_LATER = frozenset({408, 429})
_KINDS = frozenset({"run", "backup"})
_SIGNALS = {"claimed": "start", "success": "", "failed": "fail", "interrupted": "fail", "cancelled": "fail"}


def ping_of(deployment: Deployment, event: DeploymentEvent, context: ObserverContext) -> Letter | None:
    """Return the ping of a change, None if there is none to send."""
    if deployment.kind not in _KINDS or event.event not in _SIGNALS:
        return None
    signal = _SIGNALS[event.event]
    body = "\n".join(filter(None, [event.message, *context.output])) if signal == "fail" else ""
    return Letter(signal, body, place=(deployment.fraise_id, deployment.environment), run=deployment.id)


def ping(url: str, letter: Letter, seconds: float) -> Problem | None:
    """Send a ping, and return what went wrong without the address, None if nothing did."""
    body = letter.body.encode(errors="replace")[-MAX_BODY_BYTES:]
    try:
        response = ask("POST", address(url, letter.title, letter.run), body=body, seconds=seconds)
    except NoResponseError as error:
        return Problem(str(error).partition(": ")[2] or f"no answer within {seconds:g} s")
    if 200 <= response.status < 300:
        return None
    is_final = 300 <= response.status < 500 and response.status not in _MAY_HELP_LATER
    return Problem(f"status {response.status}", is_final)


def address(url: str, signal: str, run: str) -> str:
    """Return where a signal goes to."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{signal}" if signal else parts.path
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("rid", run)])
    return parts._replace(path=path, query=query, fragment="").geturl()

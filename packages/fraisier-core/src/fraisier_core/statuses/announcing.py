"""Setting the status of a commit at the forge that it belongs to, when a deployment has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from fraisier_core.errors import NoResponseError, TellLaterError, TellNoMoreError
from fraisier_core.git.origins import is_on
from fraisier_core.observer_context import ObserverContext
from fraisier_core.settings import ObserverSettings
from fraisier_core.statuses.commit_status import CommitStatus
from fraisier_core.statuses.status_api import StatusApi
from fraisier_core.statuses.wording import status_of
from fraisier_core.store.events import DeploymentEvent
from fraisier_core.store.records import Deployment
from fraisier_core.system.outgoing import HttpResponse, ask
from fraisier_core.text.printable import printable

MARGIN_SECONDS = 1.0
"""How long before an observer's time is over it says itself that the forge did not respond."""
SAID_LENGTH = 200
_TRANSIENT = frozenset({408, 409, 425})
_ADVICE = {
    401: "check {key}.api_token",
    403: "the token of {key} may not set the statuses of {repository}",
    404: "the forge has no such commit of {repository}, or the token of {key} may not know of it",
}


def announce(
    api: type[StatusApi],
    deployment: Deployment,
    event: DeploymentEvent,
    settings: ObserverSettings,
    context: ObserverContext,
) -> None:
    """Set the status of a deployment's commit, if an event changes it.

    Args:
        api: how the provider's forges take it.
        deployment, event, settings, context: as the hook `deployment_changed` is given them.

    Raises `TellLaterError` if the forge does not respond or has no time, `TellNoMoreError` if it refuses.
    """
    status = status_of(deployment, event, context)
    place = status and _place(api, context)
    if status and place and place.section == context.section:
        seconds = max(settings.timeout - MARGIN_SECONDS, settings.timeout / 2)
        place.tell(replace(status, repository=place.repository), seconds)


@dataclass(frozen=True, slots=True)
class _Place:
    """A repository at the forge of a section."""

    section: str
    api: StatusApi
    repository: str

    @property
    def key(self) -> str:
        """The section as people know it."""
        return f"git.{self.section}"

    def tell(self, status: CommitStatus, seconds: float) -> None:
        """Set a status."""
        api = self.api
        if api.url is None:
            raise self.refused("api_url is missing; it says where the API of the forge is")
        fitting = api.fitting(status)
        body = json.dumps(api.body(fitting, api.states[status.state])).encode()
        headers = {"Content-Type": "application/json", **api.headers()}
        try:
            response = ask("POST", f"{api.url}/{api.place(fitting)}", headers, body, seconds=seconds)
        except NoResponseError as error:
            raise TellLaterError(self.problem(str(error))) from None
        self._judge(response, status)

    def _judge(self, response: HttpResponse, status: CommitStatus) -> None:
        if self.api.is_told(response):
            return
        problem = f"{response.status} {response.reason}".strip()
        if said := _said(response):
            problem += f": {said}"
        pause = self.api.pause(response, datetime.now(UTC))
        if pause is not None or response.status >= 500 or response.status in _TRANSIENT:
            raise TellLaterError(self.problem(problem), pause or None)
        advice = _ADVICE.get(response.status, "")
        advice = advice.format(key=self.key, repository=status.repository)
        raise self.refused(f"{problem}; {advice}" if advice else problem)

    def problem(self, problem: str) -> str:
        """Return a problem as people read it."""
        return f"commit status at {self.key}: {problem}"

    def refused(self, problem: str) -> TellNoMoreError:
        """Return the error of what is not worth repeating."""
        return TellNoMoreError(self.problem(problem))


def _place(api: type[StatusApi], context: ObserverContext) -> _Place | None:
    """Return where the commit of a deployment is: at the forge that told of the push or, if none did, at the
    first at which the repository has an address.
    """
    places = {place.section: place for place in _places(api, context)}
    section = context.delivered_to
    if section is None:
        return next(iter(places.values()), None)
    if section == context.section and section not in places:
        there = api.of(context.forges[section])
        hosts = ", ".join(sorted(there.hosts)) or "its host, which `hosts:` or `api_url:` would say"
        problem = f"no address of the repository is at {hosts}; add one to its `aliases:`"
        raise _Place(section, there, "").refused(problem)
    return places.get(section)


def _places(api: type[StatusApi], context: ObserverContext) -> Iterator[_Place]:
    known = context.environment
    identities = sorted(known.identities, key=lambda each: (each != known.repository, each)) if known else []
    for section, forge in context.forges.items():
        there = api.of(forge)
        if identity := next((each for each in identities if is_on(each, there.hosts)), None):
            yield _Place(section, there, there.repository(_path(identity, there)))


def _path(identity: str, api: StatusApi) -> str:
    """Return the path of a repository as the forge knows it, which may be below a path of its host."""
    path, below = identity.partition("/")[2], urlsplit(api.site).path.strip("/")
    return unquote(path.removeprefix(f"{below}/") if below else path)


def _said(response: HttpResponse) -> str:
    """Return what the body of an error says, if it is JSON in one of the usual forms."""
    try:
        said = _message(json.loads(response.body))
    except (ValueError, RecursionError):
        return ""
    text = " ".join(printable(said).split())
    return text if len(text) <= SAID_LENGTH else f"{text[: SAID_LENGTH - 1]}…"


def _message(found: object) -> str:
    if isinstance(found, list):
        return _message(found[0]) if found else ""
    if isinstance(found, dict):
        keys = [key for key in ("message", "error", "errors") if found.get(key)]
        return _message(found[keys[0]]) if keys else json.dumps(found, ensure_ascii=False)
    return found if isinstance(found, str) else ""

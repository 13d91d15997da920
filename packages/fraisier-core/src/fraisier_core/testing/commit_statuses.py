"""Tests of an observer that sets commit statuses: what it sends to a forge, and what it makes of refusals."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from pydantic import SecretStr

from fraisier_core.errors import TellLaterError, TellNoMoreError
from fraisier_core.observer_context import EnvironmentFacts, ObserverContext
from fraisier_core.plugins import OBSERVERS, Observer, Plugins
from fraisier_core.provider_settings import ForgeApi
from fraisier_core.store.events import DeploymentEvent
from fraisier_core.store.records import Deployment
from fraisier_core.system.host import utc_now
from fraisier_core.testing.api_server import ApiRequest, ApiResponse, ApiServer

TOKEN = "token-of-the-tests"  # noqa: S105
COMMIT = "2e" * 20
SECTION = "my_forge"
LONG_AGO = "2026-01-02T03:04:05.000006Z"
PAGE = "https://deploy.example.com/deployments/{id}"
_EVENTS = {"pending": "requested", "running": "claimed"}


class TakenStatus(NamedTuple):
    """A status as a forge took it, with the forge's name of its state."""

    state: str
    context: str
    commit: str
    description: str
    url: str | None


class StatusForge:
    """A forge that takes statuses, and an observer that sets them there.

    Args:
        tests: say which observer, and how the forge does it.
        folder: of the observer.
    """

    def __init__(self, tests: StatusConformance, folder: Path) -> None:
        self.tests = tests
        self.folder = folder
        self.taken: list[TakenStatus] = []
        self.server = ApiServer(self._answer)
        entry_point = EntryPoint("conforming", tests.plugin.__name__, OBSERVERS.group)
        self.observer: Observer = Plugins([entry_point]).observer(entry_point.name)

    def tell(self, status: str, event: str | None = None, **facts: Any) -> TakenStatus | None:
        """Tell the observer of a deployment with a status, and return what the forge took.

        Args:
            status: of the deployment, as it is recorded.
            event: that is told; by default the one that gave it the status.
            facts: fields of `Deployment`, of `ObserverContext`, and `at`, `token`, `timeout`, `path`.
        """
        del self.taken[:]
        deployment = deployment_with(status, facts)
        told = event_of(deployment, event or _EVENTS.get(status, status), facts.get("at"))
        settings = self.observer.settings_model(timeout=facts.get("timeout", 30.0))
        self.observer.deployment_changed(deployment, told, settings, self._context(facts))
        return self.taken[-1] if self.taken else None

    def refusal(self, *answers: ApiResponse, **facts: Any) -> str:
        """Return why nothing is told, and will not be, if the forge gives an answer."""
        with pytest.raises(TellNoMoreError) as caught:
            self._tell_of_end(*answers, **facts)
        return str(caught.value)

    def delay(self, *answers: ApiResponse, **facts: Any) -> TellLaterError:
        """Return why nothing is told now if the forge gives an answer."""
        with pytest.raises(TellLaterError) as caught:
            self._tell_of_end(*answers, **facts)
        return caught.value

    def _tell_of_end(self, *answers: ApiResponse, **facts: Any) -> None:
        if answers:
            self.server.answer = lambda _: answers[0]
        self.tell("success", **facts)

    def _context(self, facts: dict[str, Any]) -> ObserverContext:
        identity = f"{self.server.host}/{facts.get('path', self.tests.repository_path)}"
        token = SecretStr(facts.get("token", TOKEN))
        api = ForgeApi(api_token=token, api_url=f"{self.server.url}{self.tests.api_path}")
        names = ObserverContext.__dataclass_fields__.keys() - {"environment"}
        given = {key: value for key, value in facts.items() if key in names}
        environment = EnvironmentFacts("site", identity, frozenset({identity}))
        known = {"environment": environment, "forges": {SECTION: api}, "delivered_to": SECTION}
        known["section"] = SECTION
        return ObserverContext(self.folder, **{**known, **given})

    def _answer(self, request: ApiRequest) -> ApiResponse:
        found = self.tests.take(request, TOKEN)
        if isinstance(found, ApiResponse):
            return found
        self.taken.append(found)
        return ApiResponse(201, {})


class StatusConformance:
    """Base of the tests of an observer that sets commit statuses: subclass it, say the following, and pytest
    runs the rest::

        class TestMyForge(StatusConformance):
            plugin = fraisier_myforge.statuses
            api_path = "/api"

            def take(self, request, token):
                if request.headers.get("x-token") != token:
                    return ApiResponse(401, {"message": "unknown token"})
                ...
                return TakenStatus(...)

    Args:
        plugin: the module that holds the hooks.
        api_path: how the address of the forge's API ends, such as `/api/v4`.
        repository_path: the path of an address of the repository `acme/my-api`, if it is another.
    """

    plugin: ModuleType
    api_path: str
    repository_path: str = "acme/my-api"

    def take(self, request: ApiRequest, token: str) -> TakenStatus | ApiResponse:
        """Answer a request as the forge does: return the status that it sets, or a refusal.

        Args:
            request: as it arrived.
            token: the one that the forge knows, which may set statuses of `acme/my-api` alone.
        """
        raise NotImplementedError

    @pytest.fixture
    def status_forge(self, tmp_path: Path) -> Iterator[StatusForge]:
        """A forge that answers as `take` says."""
        forge = StatusForge(self, tmp_path)
        with forge.server:
            yield forge

    def test_a_status_is_set_at_each_turn_of_a_deployment(self, status_forge: StatusForge) -> None:
        told = [status_forge.tell(status) for status in ("pending", "running", "success")]
        assert all(status and status.commit == COMMIT for status in told)
        assert len({status and status.context for status in told}) == 1
        assert len({status and status.description for status in told}) == 3

    def test_success_and_failure_look_like_nothing_else(self, status_forge: StatusForge) -> None:
        ends = ("success", "failed", "rolled_back", "interrupted", "cancelled", "superseded", "skipped")
        told = {status: status_forge.tell(status) for status in ("pending", "running", *ends)}
        states = {status: taken.state for status, taken in told.items() if taken}
        assert states.keys() == told.keys()
        assert states["failed"] == states["rolled_back"]
        assert states["failed"] not in {states[each] for each in ("pending", "running", "success", "skipped")}
        assert states["success"] not in {states[each] for each in ("pending", "running", "cancelled")}
        assert not {states["pending"], states["running"]} & {states[each] for each in ends}

    def test_a_status_that_is_told_twice_is_no_failure(self, status_forge: StatusForge) -> None:
        status_forge.tell("running")
        status_forge.tell("running")
        assert len(status_forge.server.requests) == 2

    def test_what_a_newer_event_will_tell_is_told_while_it_is_fresh(self, status_forge: StatusForge) -> None:
        told = [status_forge.tell("success", event) for event in ("requested", "claimed", "success")]
        own = [status_forge.tell(status) for status in ("pending", "running", "success")]
        assert [status and status.state for status in told] == [status and status.state for status in own]

    def test_what_a_newer_event_will_tell_is_not_told_late(self, status_forge: StatusForge) -> None:
        for event in ("requested", "claimed", "step_started", "serving"):
            assert status_forge.tell("success", event, at=LONG_AGO) is None
        assert not status_forge.server.requests
        assert status_forge.tell("success", at=LONG_AGO)

    def test_only_what_deploys_a_commit_is_told(self, status_forge: StatusForge) -> None:
        assert status_forge.tell("success", kind="run") is None
        assert status_forge.tell("pending", commit_sha=None) is None
        assert status_forge.tell("pending", commit_sha=COMMIT[:7]) is None
        assert not status_forge.server.requests

    def test_a_link_leads_to_the_deployment(self, status_forge: StatusForge) -> None:
        taken = status_forge.tell("success", public_url=PAGE)
        assert taken
        assert taken.url == PAGE.replace("{id}", "deployment-1")

    def test_no_text_is_too_long(self, status_forge: StatusForge) -> None:
        long = {"fraise_id": "f" * 63, "error_message": "why " * 1000, "public_url": PAGE + "x" * 4000}
        told = [status_forge.tell("skipped", **long, environment="e" * 62 + last) for last in "ab"]
        assert len({taken and taken.context for taken in told}) == 2

    def test_the_name_of_a_branch_is_a_name_wherever_it_stands(self, status_forge: StatusForge) -> None:
        for name in ("a/b", "a&b=c", 'a"b', "a%2Fb", "ü"):
            taken = status_forge.tell("success", ref=f"refs/heads/{name}")
            assert taken
            assert taken.commit == COMMIT

    def test_the_token_is_in_a_header_alone(self, status_forge: StatusForge) -> None:
        status_forge.tell("success", public_url=PAGE)
        (request,) = status_forge.server.requests
        assert TOKEN not in request.path
        assert TOKEN.encode() not in request.body
        assert sum(TOKEN in value for value in request.headers.values()) == 1

    def test_another_token_is_refused_and_not_shown(self, status_forge: StatusForge) -> None:
        problem = status_forge.refusal(token="another-token")  # noqa: S106
        assert problem.startswith(f"commit status at git.{SECTION}: 401 ")
        assert problem.endswith(f"; check git.{SECTION}.api_token")
        assert "another-token" not in problem

    def test_another_repository_is_refused(self, status_forge: StatusForge) -> None:
        path = self.repository_path.replace("my-api", "secret-api")
        assert status_forge.refusal(path=path).startswith(f"commit status at git.{SECTION}: 40")

    def test_what_the_forge_refuses_is_not_told_again(self, status_forge: StatusForge) -> None:
        for status in (400, 403, 404, 422):
            said = status_forge.refusal(ApiResponse(status, {"message": "no, because of that"}))
            assert f": {status} " in said
            assert "no, because of that" in said

    def test_a_forge_that_is_asked_too_often_says_when_to_come_back(self, status_forge: StatusForge) -> None:
        assert status_forge.delay(ApiResponse(429, {}, {"Retry-After": "7"})).seconds == 7

    def test_a_forge_that_has_no_time_is_asked_again(self, status_forge: StatusForge) -> None:
        for status in (500, 502, 503, 504):
            assert f": {status} " in str(status_forge.delay(ApiResponse(status, b"<html>")))

    def test_a_forge_that_does_not_respond_is_asked_again(self, status_forge: StatusForge) -> None:
        problem = str(status_forge.delay(ApiResponse(hangs=True), timeout=0.2))
        assert problem.endswith(f"no answer from {status_forge.server.url} within 0.1 s")

    def test_no_other_server_gets_the_token(self, status_forge: StatusForge) -> None:
        with ApiServer(lambda _: ApiResponse(201, {})) as other:
            for status in (301, 302, 307, 308):
                status_forge.refusal(ApiResponse(status, headers={"Location": f"{other.url}/"}))
            assert not other.requests


def deployment_with(status: str, facts: dict[str, Any]) -> Deployment:
    """Return a deployment of `COMMIT` with a status and some of its fields."""
    known: dict[str, Any] = {
        "id": "deployment-1",
        "fraise_id": "my_api",
        "environment": "production",
        "kind": "deploy",
        "commit_sha": COMMIT,
        "ref": "refs/heads/main",
        "trigger": "webhook",
        "attempt": 1,
        "duration": 12.0 if status == "success" else None,
        "error_message": None if status in {"pending", "running", "success"} else "make: no such target",
    }
    given = {key: value for key, value in facts.items() if key in Deployment._fields}
    return Deployment(**{**dict.fromkeys(Deployment._fields), **known, **given, "status": status})


def event_of(deployment: Deployment, name: str, at: str | None = None) -> DeploymentEvent:
    """Return an event of a deployment, by default of now."""
    known: dict[str, Any] = {"sequence": 1, "deployment_id": deployment.id, "number": 1, "event": name}
    known["at"] = at or utc_now()
    return DeploymentEvent(**{**dict.fromkeys(DeploymentEvent._fields), **known})

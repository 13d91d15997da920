"""What a forge is told of a deployment, of which forge it is, and what becomes of its responses."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fraisier_core import (
    CommitState,
    CommitStatus,
    ForgeApi,
    HttpResponse,
    ObserverContext,
    StatusApi,
    quoted,
    retry_after,
)
from fraisier_core.plugins import OBSERVERS
from fraisier_core.statuses.wording import STATES, described, status_of
from fraisier_core.store.holds import Hold
from fraisier_core.store.vocabulary import ENDED
from fraisier_core.testing import ApiRequest, ApiResponse, StatusConformance, TakenStatus
from fraisier_core.testing.commit_statuses import COMMIT, PAGE, StatusForge, deployment_with, event_of
from pydantic import SecretStr

from tests.packages import PackageFolder

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOY = """
from fraisier_core import StatusApi, quoted, status_hooks

class ToyStatuses(StatusApi):
    providers = ("toy",)
    path = "/api"
    public_url = "https://api.toy.example/api"
    public_hosts = frozenset({"toy.example"})
    states = {state: state for state in (
        "pending", "running", "success", "skipped", "failure", "cancelled", "error")}

    def headers(self):
        return {"X-Token": self.token}

    def place(self, status):
        return f"{quoted(status.repository)}/{status.commit}"

    def body(self, status, state):
        return {"state": state, "context": status.context, "text": status.description, "url": status.url}

settings, deployment_changed = status_hooks(ToyStatuses)
"""


class ToyStatuses(StatusApi):
    path = "/api"
    public_url = "https://api.toy.example/api"
    public_hosts = frozenset({"toy.example"})
    states: ClassVar[Mapping[CommitState, str]] = {}


def toy(**said: Any) -> ToyStatuses:
    return ToyStatuses(ForgeApi(api_token=SecretStr("token"), **said))


class TestToy(StatusConformance):
    api_path = "/api"

    @pytest.fixture(autouse=True)
    def toy(self, site: PackageFolder) -> None:
        site.install(OBSERVERS.group, "toy_statuses", TOY)
        self.plugin = import_module("acme_toy_statuses")

    def take(self, request: ApiRequest, token: str) -> TakenStatus | ApiResponse:
        if request.headers.get("x-token") != token:
            return ApiResponse(401, {"error": "no such token"})
        if not request.path.startswith("/api/acme%2Fmy-api/"):
            return ApiResponse(404)
        body = request.json()
        return TakenStatus(body["state"], body["context"], request.path[-40:], body["text"], body["url"])

    def test_the_forge_that_told_of_the_push_is_told(self, status_forge: StatusForge) -> None:
        forges = two_sections(status_forge)
        told: dict[str, Any] = {"forges": forges, "section": "second"}
        assert status_forge.tell("success", **told, delivered_to="second")
        assert status_forge.server.requests[-1].headers["x-token"] == "token-of-the-tests"
        for elsewhere in ("first", "of_another_provider"):
            assert status_forge.tell("success", **told, delivered_to=elsewhere) is None

    def test_without_a_push_the_first_forge_that_has_the_repository_is_told(
        self, status_forge: StatusForge
    ) -> None:
        forges = two_sections(status_forge)
        forges["third"] = forges["second"]
        told = {
            section: status_forge.tell("success", forges=forges, section=section, delivered_to=None)
            for section in forges
        }
        assert [section for section, taken in told.items() if taken] == ["second"]

    def test_a_push_to_what_has_no_address_there_is_a_problem(self, status_forge: StatusForge) -> None:
        forges = two_sections(status_forge)
        problem = status_forge.refusal(forges=forges, section="first", delivered_to="first")
        assert problem == (
            "commit status at git.first: no address of the repository is at git.example.com;"
            " add one to its `aliases:`"
        )

    def test_a_forge_may_lie_below_a_path_of_its_host(self, status_forge: StatusForge) -> None:
        status_forge.tests.api_path = "/below/api"
        status_forge.server.answer = lambda _: ApiResponse(201, {})
        status_forge.tell("success", path="below/acme/my-api")
        assert status_forge.server.requests[-1].path == f"/below/api/acme%2Fmy-api/{COMMIT}"

    def test_an_encoded_name_is_encoded_once(self, status_forge: StatusForge) -> None:
        status_forge.server.answer = lambda _: ApiResponse(201, {})
        status_forge.tell("success", path="acme/my%20api")
        assert status_forge.server.requests[-1].path == f"/api/acme%2Fmy%20api/{COMMIT}"

    def test_what_the_forge_says_is_shown_in_short_and_printable(self, status_forge: StatusForge) -> None:
        for body, said in (
            ({"message": "no\x1b[31m\nway"}, "no way"),
            ({"error": {"message": "no way"}}, "no way"),
            ({"errors": [{"context": None, "message": "no way"}]}, "no way"),
            ({"message": {"name": ["is too long"]}}, '{"name": ["is too long"]}'),
            ({"message": "x" * 1000}, "x" * 199 + "…"),
        ):
            assert status_forge.refusal(ApiResponse(422, body)).endswith(f"422 Unprocessable Entity: {said}")
        nothings: tuple[object, ...] = ([], "", 7, None, b"<html>", b"\xff", b"[" * 60_000)
        for nothing in nothings:
            assert status_forge.refusal(ApiResponse(422, nothing)).endswith(": 422 Unprocessable Entity")

    def test_a_forge_that_says_try_again_is_asked_again(self, status_forge: StatusForge) -> None:
        for status in (408, 409, 425, 429):
            assert status_forge.delay(ApiResponse(status)).seconds is None

    def test_what_holds_a_deployment_is_told(self, status_forge: StatusForge) -> None:
        for cause, ends, said in (
            ("manual", None, "held"),
            ("manual", "2026-01-02T03:04:05.000000Z", "held until 2026-01-02 03:04:05 UTC"),
            ("freeze", "2026-01-02T03:04:05.000000Z", "frozen until 2026-01-02 03:04:05 UTC"),
        ):
            hold = Hold("my_api", "production", cause, "the fair is on", "ada", "", ends)  # type: ignore[arg-type]
            taken = status_forge.tell("pending", hold=hold)
            assert taken
            assert taken.description == f"waiting to be deployed: {said}"  # neither who nor why

    @pytest.mark.parametrize("status", ["superseded", "skipped", "cancelled"])
    def test_what_comes_to_nothing_leaves_the_commit_what_it_was(
        self, status_forge: StatusForge, status: str
    ) -> None:
        before = deployment_with("failed", {"id": "deployment-0"})
        taken = status_forge.tell(status, previous=before, public_url=PAGE)
        assert taken
        assert (taken.state, taken.description) == ("failure", "the deployment failed")
        assert taken.url == PAGE.replace("{id}", "deployment-0")
        another = before._replace(commit_sha="0" * 40)
        assert status_forge.tell(status, previous=another) == status_forge.tell(status)

    @pytest.mark.parametrize("facts", [{"trigger": "replay"}, {"repeats": "an-earlier-event"}])
    def test_a_replay_is_told_of_once_something_comes_of_it(
        self, status_forge: StatusForge, facts: dict[str, Any]
    ) -> None:
        for status in ("pending", "running", "superseded", "skipped", "cancelled"):
            assert status_forge.tell(status, **facts) is None
        assert status_forge.tell("running", "release_chosen", **facts)
        for status in ("success", "failed", "rolled_back", "interrupted"):
            assert status_forge.tell(status, **facts)

    def test_nothing_is_told_of_an_environment_that_is_gone(self, status_forge: StatusForge) -> None:
        assert status_forge.tell("success", delivered_to=None, forges={}) is None


def two_sections(forge: StatusForge) -> dict[str, ForgeApi]:
    """Return a section of another host, and the one of the forge."""
    token = SecretStr("token-of-the-tests")
    there = ForgeApi(api_token=token, api_url=f"{forge.server.url}/api")
    return {"first": ForgeApi(api_token=SecretStr("x"), hosts=("git.example.com",)), "second": there}


def test_every_status_of_a_deployment_is_a_state() -> None:
    assert STATES.keys() == {"pending", "running"} | ENDED


@pytest.mark.parametrize(
    ("status", "event", "facts", "told"),
    [
        ("pending", "requested", {}, "pending"),
        ("pending", "requeued", {}, "pending"),
        ("running", "claimed", {}, "running"),
        ("running", "claimed", {"trigger": "manual"}, None),
        ("running", "release_chosen", {"trigger": "manual"}, "running"),
        ("running", "release_chosen", {}, None),
        ("running", "requested", {}, "pending"),
        ("running", "cancel_requested", {}, None),
        ("failed", "cancel_requested", {}, None),
        ("cancelled", "cancel_requested", {}, "cancelled"),
        ("cancelled", "cancelled", {}, "cancelled"),
        ("superseded", "superseded", {}, "cancelled"),
        ("rolled_back", "rollback_started", {}, None),
        ("rolled_back", "rolled_back", {}, "failure"),
        ("interrupted", "interrupted", {}, "error"),
        ("skipped", "skipped", {}, "skipped"),
    ],
)
def test_an_event_tells_the_status_that_it_led_to(
    status: str, event: str, facts: dict[str, str], told: str | None
) -> None:
    deployment = deployment_with(status, facts)
    found = status_of(deployment, event_of(deployment, event), ObserverContext(Path()))
    assert (found and found.state) == told


@pytest.mark.parametrize(
    ("status", "facts", "said"),
    [
        ("running", {}, "being deployed"),
        ("running", {"attempt": 2}, "being deployed, attempt 2"),
        ("success", {"duration": 71.6}, "deployed in 72 s"),
        ("failed", {"error_message": "/srv/secret: no such file"}, "the deployment failed"),
        (
            "skipped",
            {"error_message": "nothing below src/ changed"},
            "not deployed: nothing below src/ changed",
        ),
    ],
)
def test_a_description_says_how_it_stands_and_no_message_of_a_step(
    status: str, facts: dict[str, Any], said: str
) -> None:
    assert described(deployment_with(status, facts)) == said


def test_texts_are_cut_and_contexts_stay_apart() -> None:
    status = CommitStatus("success", "fraisier/api/production", "deployed in 7 s", "https://x", "", COMMIT)
    assert status.within(context=23, description=15, url=9) == status
    short = status.within(context=22, description=14, url=8)
    assert (short.description, short.url, len(short.context)) == ("deployed in 7…", None, 22)
    assert short.context.startswith("fraisier/api/")
    assert status.within(context=22, description=10, url=8).description == "deployed…"


def test_where_an_api_is() -> None:
    assert (toy().url, toy().site) == ("https://api.toy.example/api", "https://api.toy.example")
    assert toy().hosts == {"toy.example"}
    own = toy(api_url="https://git.example.com:8443/below/api/")
    assert (own.url, own.site) == (
        "https://git.example.com:8443/below/api",
        "https://git.example.com:8443/below",
    )
    assert own.hosts == {"git.example.com"}
    assert toy(hosts=("ssh.example.com:2222",)).hosts == {"ssh.example.com:2222"}


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("soon", 0),
        ("", 0),
        ("-5", 0),
        ("1e9", 0),
        ("9" * 5000, 999_999_999),
        ("٣", 0),
        (f"Fri, 31 Dec {'9' * 20} 23:59:59 GMT", 0),
    ],
)
def test_retry_after_is_a_number_or_a_date(said: str, seconds: float) -> None:
    assert retry_after(HttpResponse(429, "", {"retry-after": said}), NOW) == seconds


def test_a_part_of_a_path_stays_one() -> None:
    assert quoted("a/b", "c?d#e", "..") == "a%2Fb/c%3Fd%23e/.."

import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path
from urllib.parse import quote_plus

import fraisier_github
import pytest
from fraisier_core import DeliveryId, Ignored, MalformedPayloadError, Unverified, Verified
from fraisier_core.testing import ProviderConformance

FIXTURES = Path(__file__).parent / "fixtures"
PUSH_HEADERS = {"x-github-event": "push"}


def signed(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={digest}"}


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


class TestGitHub(ProviderConformance):
    plugin = fraisier_github
    secret = "correct horse"
    other_secret = "battery staple"
    signature_header = "x-hub-signature-256"
    signature_prefix = "sha256="
    fixtures = FIXTURES

    def sign(self, body: bytes, secret: str, now: datetime) -> dict[str, str]:
        return signed(body, secret)

    def event_headers(self, event: str) -> dict[str, str]:
        return {
            "content-type": "application/json",
            "x-github-event": event,
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        }


class TestGitHubForm(TestGitHub):
    def event_headers(self, event: str) -> dict[str, str]:
        return super().event_headers(event) | {"content-type": "application/x-www-form-urlencoded"}

    def body(self, payload: bytes) -> bytes:
        return b"payload=" + quote_plus(payload).encode()


def test_the_published_example_is_verified() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": signature}
    secrets = ["It's a Secret to Everybody"]
    assert fraisier_github.verify(headers, b"Hello, World!", secrets) == Verified(0)


def test_a_sha1_signature_counts_for_nothing() -> None:
    digest = hmac.new(b"secret", b"{}", hashlib.sha1).hexdigest()
    for header in ("x-hub-signature", "x-hub-signature-256"):
        verdict = fraisier_github.verify({header: f"sha1={digest}"}, b"{}", ["secret"])
        assert isinstance(verdict, Unverified)


def test_a_sha256_signature_in_the_sha1_header_counts_for_nothing() -> None:
    headers = {"x-hub-signature": signed(b"{}", "secret")["x-hub-signature-256"]}
    assert isinstance(fraisier_github.verify(headers, b"{}", ["secret"]), Unverified)


@pytest.mark.parametrize("header", ["x-gitea-event", "x-gogs-delivery", "x-forgejo-signature"])
def test_a_look_alike_with_the_same_secret_is_not_github(header: str) -> None:
    headers = PUSH_HEADERS | signed(b"{}", "secret")
    assert fraisier_github.verify(headers, b"{}", ["secret"]) == Verified(0)
    verdict = fraisier_github.verify(headers | {header: ""}, b"{}", ["secret"])
    assert isinstance(verdict, Unverified)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no X-Hub-Signature-256 header: the webhook has no secret"),
        ({"x-hub-signature-256": ""}, "X-Hub-Signature-256 is empty: the webhook has no secret"),
        ({"x-hub-signature-256": "sha256="}, "X-Hub-Signature-256 is empty: the webhook has no secret"),
        ({"x-hub-signature-256": "sha256=0"}, "X-Hub-Signature-256 is no signature: `sha256=` and 64"),
        ({"x-hub-signature-256": f"sha256={'0' * 64}"}, "is the signature of another secret"),
        ({"x-hub-signature": "sha1=0"}, "signed with SHA-1 alone (X-Hub-Signature)"),
        (
            {"x-gitea-event": "push", "x-gogs-event": "push"},
            "headers of Gitea: use the provider of that forge",
        ),
        ({"x-forgejo-event": "push", "x-gitea-event": "push"}, "headers of Forgejo"),
        ({"x-gogs-event": "push"}, "headers of Gogs"),
        ({"x-gitlab-token": "secret"}, "headers of GitLab"),
        ({"x-event-key": "repo:push", "x-hub-signature": "sha256=0"}, "headers of Bitbucket"),
    ],
)
def test_the_reason_says_why_a_delivery_does_not_verify(headers: dict[str, str], reason: str) -> None:
    verdict = fraisier_github.verify(headers, b"{}", ["secret"])
    assert isinstance(verdict, Unverified)
    assert reason in verdict.reason


def test_a_secret_need_not_be_ascii() -> None:
    assert fraisier_github.verify(signed(b"{}", "clé"), b"{}", ["clé"]) == Verified(0)


def test_another_event_relabelled_as_a_push_is_malformed() -> None:
    with pytest.raises(MalformedPayloadError):
        fraisier_github.normalize(PUSH_HEADERS, fixture("pull_request.json"))


def test_a_push_relabelled_as_another_event_deploys_nothing() -> None:
    outcome = fraisier_github.normalize({"x-github-event": "ping"}, fixture("push-branch.json"))
    assert isinstance(outcome, Ignored)


def test_a_delivery_without_an_event_is_malformed() -> None:
    with pytest.raises(MalformedPayloadError, match="X-GitHub-Event"):
        fraisier_github.normalize({}, fixture("push-branch.json"))


@pytest.mark.parametrize("field", ["ref", "before", "after", "repository", "pusher"])
def test_a_push_without_a_field_that_is_read_is_malformed(field: str) -> None:
    payload = json.loads(fixture("push-branch.json"))
    del payload[field]
    with pytest.raises(MalformedPayloadError, match=f"body: .*`{field}`"):
        fraisier_github.normalize(PUSH_HEADERS, json.dumps(payload).encode())


@pytest.mark.parametrize("field", ["before", "after"])
@pytest.mark.parametrize("wrong", ["2E" * 20, "2e" * 19, "2e" * 21, "--upload-pack=x", "2e" * 20 + "\n"])
def test_a_commit_that_is_no_full_object_id_is_malformed(field: str, wrong: str) -> None:
    payload = json.loads(fixture("push-branch.json")) | {field: wrong}
    with pytest.raises(MalformedPayloadError, match=field):
        fraisier_github.normalize(PUSH_HEADERS, json.dumps(payload).encode())


def test_a_deleted_tag_has_no_commit_whatever_else_the_payload_says() -> None:
    payload = json.loads(fixture("push-tag_annotated.json")) | {"after": "0" * 40}
    outcome = fraisier_github.normalize(PUSH_HEADERS, json.dumps(payload).encode())
    assert not isinstance(outcome, Ignored)
    assert [push.after for push in outcome] == [None]


@pytest.mark.parametrize("branch", ["--upload-pack=x", "$(x)", "x;y", "refs/heads/main"])
def test_a_branch_keeps_its_full_ref_whatever_its_name(branch: str) -> None:
    payload = json.loads(fixture("push-branch.json")) | {"ref": f"refs/heads/{branch}"}
    outcome = fraisier_github.normalize(PUSH_HEADERS, json.dumps(payload).encode())
    assert not isinstance(outcome, Ignored)
    assert [push.ref for push in outcome] == [f"refs/heads/{branch}"]


def test_a_tag_named_like_a_branch_is_a_tag() -> None:
    outcome = fraisier_github.normalize(PUSH_HEADERS, fixture("push-tag.json"))
    assert not isinstance(outcome, Ignored)
    assert [(push.name, push.is_tag) for push in outcome] == [("main", True)]


def test_a_form_is_known_by_its_media_type() -> None:
    headers = PUSH_HEADERS | {"content-type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"}
    body = b"payload=" + quote_plus(fixture("push-branch.json")).encode()
    outcome = fraisier_github.normalize(headers, body)
    assert outcome == fraisier_github.normalize(PUSH_HEADERS, fixture("push-branch.json"))


@pytest.mark.parametrize("form", ["", "payload", "other={}", "payload={}&payload={}", "payload={}%ff"])
def test_a_form_without_one_payload_is_malformed(form: str) -> None:
    headers = PUSH_HEADERS | {"content-type": "application/x-www-form-urlencoded"}
    body = form.replace("{}", quote_plus(fixture("push-branch.json"))).encode()
    with pytest.raises(MalformedPayloadError):
        fraisier_github.normalize(headers, body)


def test_the_delivery_id_is_not_signed() -> None:
    assert fraisier_github.delivery_id({"x-github-delivery": "72d3"}) == DeliveryId("72d3", signed=False)
    assert fraisier_github.delivery_id({"x-github-delivery": ""}) is None

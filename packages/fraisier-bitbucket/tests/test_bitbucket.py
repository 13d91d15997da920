import hashlib
import hmac
import json
import time
from datetime import datetime
from pathlib import Path

import fraisier_bitbucket
import pytest
from fraisier_core import DeliveryId, Ignored, MalformedPayloadError, Unverified, Verified
from fraisier_core.testing import ProviderConformance

FIXTURES = Path(__file__).parent / "fixtures"
TEST_HEADERS = {"x-event-key": "diagnostics:ping"}
TEST_BODY = b'{"test": true}'


def signed(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature": f"sha256={digest}"}


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


class TestCloud(ProviderConformance):
    plugin = fraisier_bitbucket
    secret = "correct horse"
    other_secret = "battery staple"
    signature_header = "x-hub-signature"
    signature_prefix = "sha256="
    fixtures = FIXTURES / "cloud"

    def sign(self, body: bytes, secret: str, now: datetime) -> dict[str, str]:
        return signed(body, secret)

    def event_headers(self, event: str) -> dict[str, str]:
        return {
            "x-event-key": event.replace("_", ":", 1),
            "x-request-uuid": "5a1c2f1e-0000-4000-8000-000000000003",
            "x-attempt-number": "1",
        }


class TestDataCenter(TestCloud):
    fixtures = FIXTURES / "data_center"

    def event_headers(self, event: str) -> dict[str, str]:
        key = event.replace("_", ":", 1)
        return {"x-event-key": key, "x-request-id": "5a1c2f1e-0000-4000-8000-000000000004"}


@pytest.mark.parametrize("body", [TEST_BODY, b'{"test":true}', b'{\n  "test": true\n}\n'])
def test_the_unsigned_test_of_data_center_is_ignored(body: bytes) -> None:
    verdict = fraisier_bitbucket.verify(TEST_HEADERS, body, ["secret"])
    assert verdict == Ignored("diagnostics:ping", "a test delivery, which Bitbucket does not sign")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (TEST_HEADERS, b""),
        (TEST_HEADERS, b"{}"),
        (TEST_HEADERS, b'{"test": true, "push": {}}'),
        (TEST_HEADERS, b'{"test": false}'),
        (TEST_HEADERS, TEST_BODY + b" " * 64),
        (TEST_HEADERS, fixture("cloud/repo_push-branch.json")),
        ({"x-event-key": "repo:push"}, TEST_BODY),
        ({}, TEST_BODY),
        (TEST_HEADERS | {"x-hub-signature": ""}, TEST_BODY),
        (TEST_HEADERS | {"x-hub-signature": "sha256="}, TEST_BODY),
        (TEST_HEADERS | signed(TEST_BODY, "other"), TEST_BODY),
    ],
)
def test_nothing_else_passes_for_that_test(headers: dict[str, str], body: bytes) -> None:
    assert isinstance(fraisier_bitbucket.verify(headers, body, ["secret"]), Unverified)


def test_a_signed_test_is_verified() -> None:
    headers = TEST_HEADERS | signed(TEST_BODY, "secret")
    assert fraisier_bitbucket.verify(headers, TEST_BODY, ["secret"]) == Verified(0)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no X-Hub-Signature header"),
        ({"x-hub-signature": "sha256="}, "X-Hub-Signature is empty"),
        ({"x-hub-signature": f"sha1={'0' * 40}"}, "SHA-1"),
        ({"x-hub-signature": "0" * 64}, "is no signature: `sha256=` and 64 lower-case hexadecimal digits"),
        ({"x-hub-signature": f"sha256={'0' * 64}"}, "another secret"),
        ({"x-gitlab-token": "secret"}, "headers of GitLab"),
        ({"x-github-event": "push"}, "headers of GitHub"),
        ({"x-github-event": "push", "x-gitea-event": "push"}, "headers of Gitea"),
    ],
)
def test_the_reason_says_why_a_delivery_does_not_verify(headers: dict[str, str], reason: str) -> None:
    verdict = fraisier_bitbucket.verify(headers, b"{}", ["secret"])
    assert isinstance(verdict, Unverified)
    assert reason in verdict.reason


@pytest.mark.parametrize("mark", ["x-github-event", "x-gitea-event", "x-gogs-event", "x-gitlab-event"])
def test_another_forge_with_the_same_secret_is_not_bitbucket(mark: str) -> None:
    headers = signed(b"{}", "secret") | {mark: "push"}
    assert isinstance(fraisier_bitbucket.verify(headers, b"{}", ["secret"]), Unverified)


def test_a_sha1_signature_counts_for_nothing() -> None:
    digest = hmac.new(b"secret", b"{}", hashlib.sha1).hexdigest()
    headers = {"x-hub-signature": f"sha1={digest}"}
    assert isinstance(fraisier_bitbucket.verify(headers, b"{}", ["secret"]), Unverified)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("repo:push", "data_center/repo_refs_changed-branch"),
        ("repo:refs_changed", "cloud/repo_push-branch"),
        ("repo:push", "cloud/pullrequest_created"),
        ("repo:refs_changed", "data_center/pr_opened"),
        ("repo:push", "data_center/diagnostics_ping"),
    ],
)
def test_another_event_relabelled_as_a_push_is_malformed(event: str, name: str) -> None:
    with pytest.raises(MalformedPayloadError):
        fraisier_bitbucket.normalize({"x-event-key": event}, fixture(f"{name}.json"))


def test_a_delivery_without_an_event_is_malformed() -> None:
    with pytest.raises(MalformedPayloadError, match="X-Event-Key"):
        fraisier_bitbucket.normalize({}, fixture("cloud/repo_push-branch.json"))


@pytest.mark.parametrize(
    ("event", "name"),
    [("repo:push", "cloud/repo_push"), ("repo:refs_changed", "data_center/repo_refs_changed")],
)
@pytest.mark.parametrize("zero", ["0" * 40, "0" * 64])
def test_a_zero_id_is_no_commit(event: str, name: str, zero: str) -> None:
    body = fixture(f"{name}-branch.json").replace(b"2e" * 20, zero.encode())
    outcome = fraisier_bitbucket.normalize({"x-event-key": event}, body)
    assert not isinstance(outcome, Ignored)
    assert [push.after for push in outcome] == [None]


def test_a_change_that_names_no_ref_is_passed_over() -> None:
    payload = json.loads(fixture("cloud/repo_push-branch.json"))
    payload["push"]["changes"].insert(0, {"old": None, "new": None})
    outcome = fraisier_bitbucket.normalize({"x-event-key": "repo:push"}, json.dumps(payload).encode())
    assert not isinstance(outcome, Ignored)
    assert [push.ref for push in outcome] == ["refs/heads/main"]


def test_reading_many_refs_takes_no_longer_for_each_than_reading_few() -> None:
    payload = json.loads(fixture("data_center/repo_refs_changed-branch.json"))
    (change,) = payload["changes"]
    payload["changes"] = [change | {"toHash": f"{number:040x}"} for number in range(1, 20_001)]
    body, began = json.dumps(payload).encode(), time.process_time()
    outcome = fraisier_bitbucket.normalize({"x-event-key": "repo:refs_changed"}, body)
    assert not isinstance(outcome, Ignored)
    assert len(outcome) == 20_000
    assert time.process_time() - began < 5


@pytest.mark.parametrize("kind", ["bookmark", "", 1])
def test_a_ref_that_is_neither_a_branch_nor_a_tag_is_malformed(kind: object) -> None:
    payload = json.loads(fixture("cloud/repo_push-branch.json"))
    payload["push"]["changes"][0]["new"]["type"] = kind
    with pytest.raises(MalformedPayloadError):
        fraisier_bitbucket.normalize({"x-event-key": "repo:push"}, json.dumps(payload).encode())


def test_the_delivery_id_is_that_of_bitbucket_and_not_of_a_proxy() -> None:
    headers = {"x-request-uuid": "72d3", "x-request-id": "of a proxy"}
    assert fraisier_bitbucket.delivery_id(headers) == DeliveryId("72d3", signed=False)
    assert fraisier_bitbucket.delivery_id({"x-request-id": "72d3"}) == DeliveryId("72d3", signed=False)
    assert fraisier_bitbucket.delivery_id({}) is None

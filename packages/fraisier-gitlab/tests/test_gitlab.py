import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fraisier_gitlab
import pytest
from fraisier_core import DeliveryId, Ignored, MalformedPayloadError, Unverified, Verified
from fraisier_core.testing import ProviderConformance
from pydantic import ValidationError

FIXTURES = Path(__file__).parent / "fixtures"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIGNING_TOKEN = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER_SIGNING_TOKEN = "whsec_" + base64.b64encode(b"o" * 32).decode()
SECRET_TOKEN = "correct horse"
HEADERS = {"push": "Push Hook", "tag_push": "Tag Push Hook", "merge_request": "Merge Request Hook"}


def signed(body: bytes, token: str, now: datetime) -> dict[str, str]:
    message_id, timestamp = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d", str(int(now.timestamp()))
    key = base64.b64decode(token.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


class TestSecretToken(ProviderConformance):
    plugin = fraisier_gitlab
    secret = SECRET_TOKEN
    other_secret = "battery staple"
    signature_header = "x-gitlab-token"
    signs_body = False
    fixtures = FIXTURES

    def sign(self, body: bytes, secret: str, now: datetime) -> dict[str, str]:
        return {"x-gitlab-token": secret}

    def event_headers(self, event: str) -> dict[str, str]:
        named = HEADERS.get(event, "System Hook")
        return {"idempotency-key": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d", "x-gitlab-event": named}


class TestSigningToken(ProviderConformance):
    plugin = fraisier_gitlab
    secret = SIGNING_TOKEN
    other_secret = OTHER_SIGNING_TOKEN
    signature_header = "webhook-signature"
    signature_prefix = "v1,"
    tolerance = timedelta(seconds=300)
    fixtures = FIXTURES

    def sign(self, body: bytes, secret: str, now: datetime) -> dict[str, str]:
        return signed(body, secret, now)


def test_one_of_several_signatures_is_enough() -> None:
    headers = signed(b"{}", SIGNING_TOKEN, NOW)
    headers["webhook-signature"] = f"v1a,AAAA v1, {headers['webhook-signature']}"
    assert fraisier_gitlab.verify(headers, b"{}", [SIGNING_TOKEN], NOW) == Verified(0)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_the_id_and_the_time_are_signed(name: str) -> None:
    headers = signed(b"{}", SIGNING_TOKEN, NOW)
    for changed in ("", headers[name][:-1] + "0"):
        assert isinstance(
            fraisier_gitlab.verify(headers | {name: changed}, b"{}", [SIGNING_TOKEN], NOW), Unverified
        )


def test_a_bad_signature_is_not_made_good_by_a_secret_token() -> None:
    headers = {"webhook-signature": "v1,AAAA", "x-gitlab-token": SECRET_TOKEN}
    assert isinstance(fraisier_gitlab.verify(headers, b"{}", [SECRET_TOKEN, SIGNING_TOKEN], NOW), Unverified)


def test_a_signature_that_no_configured_secret_can_check_leaves_the_secret_token_to_decide() -> None:
    headers = signed(b"{}", SIGNING_TOKEN, NOW) | {"x-gitlab-token": SECRET_TOKEN}
    assert fraisier_gitlab.verify(headers, b"{}", [SECRET_TOKEN], NOW) == Verified(0, signs_body=False)


def test_secret_tokens_and_signing_tokens_can_be_configured_together() -> None:
    secrets = [SECRET_TOKEN, OTHER_SIGNING_TOKEN, SIGNING_TOKEN]
    headers = signed(b"{}", SIGNING_TOKEN, NOW)
    assert fraisier_gitlab.verify(headers, b"{}", secrets, NOW) == Verified(2)
    headers = {"x-gitlab-token": SECRET_TOKEN}
    assert fraisier_gitlab.verify(headers, b"{}", secrets, NOW) == Verified(0, signs_body=False)


def test_a_signing_token_is_never_taken_as_a_secret_token() -> None:
    headers = {"x-gitlab-token": SIGNING_TOKEN}
    assert isinstance(fraisier_gitlab.verify(headers, b"{}", [SIGNING_TOKEN], NOW), Unverified)


def test_a_secret_token_need_not_be_ascii() -> None:
    headers = {"x-gitlab-token": "clé".encode().decode("latin-1")}
    assert fraisier_gitlab.verify(headers, b"{}", ["clé"], NOW) == Verified(0, signs_body=False)


@pytest.mark.parametrize(
    "token", ["whsec_", "whsec_c2hvcnQ=", SIGNING_TOKEN[:-1], SIGNING_TOKEN + "A", "whsec_" + "é" * 44]
)
def test_a_signing_token_that_is_no_key_of_32_bytes_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ValidationError, match="secret 2 starts with whsec_") as caught:
        fraisier_gitlab.settings().model_validate({"webhook_secret": [SECRET_TOKEN, token]})
    assert token.removeprefix("whsec_") == "" or token not in str(caught.value)
    assert isinstance(
        fraisier_gitlab.verify(signed(b"{}", SIGNING_TOKEN, NOW), b"{}", [token], NOW), Unverified
    )


def test_the_body_says_which_event_it_is_and_the_header_cannot_relabel_it() -> None:
    outcome = fraisier_gitlab.normalize({}, fixture("merge_request.json"))
    assert outcome == Ignored("merge_request", "only pushes deploy")
    mislabelled = json.loads(fixture("push-branch.json")) | {"object_kind": "pipeline"}
    outcome = fraisier_gitlab.normalize({}, json.dumps(mislabelled).encode())
    assert outcome == Ignored("pipeline", "only pushes deploy")


@pytest.mark.parametrize("named", ["", "Push Hook", "Tag Push Hook"])
@pytest.mark.parametrize("kind", [None, 1, {}])
def test_a_body_that_names_no_event_is_malformed_if_it_can_be_a_push(named: str, kind: object) -> None:
    payload = json.loads(fixture("push-branch.json")) | {"object_kind": kind, "event_name": kind}
    with pytest.raises(MalformedPayloadError, match="neither object_kind nor event_name"):
        fraisier_gitlab.normalize({"x-gitlab-event": named}, json.dumps(payload).encode())


@pytest.mark.parametrize("body", [b"{}", b'{"object_kind": 1}', b'{"event_name": "", "project": 7}'])
def test_another_event_is_ignored_whatever_it_holds(body: bytes) -> None:
    outcome = fraisier_gitlab.normalize({"x-gitlab-event": "Member Hook"}, body)
    assert outcome == Ignored("Member Hook", "only pushes deploy")


def test_a_push_that_a_system_hook_sends_is_a_push() -> None:
    headers = {"x-gitlab-event": "System Hook"}
    outcome = fraisier_gitlab.normalize(headers, fixture("push-system_hook.json"))
    assert not isinstance(outcome, Ignored)
    assert [(push.event, push.pusher) for push in outcome] == [("push", "Release bot")]
    payload = json.loads(fixture("push-system_hook.json")) | {"ref": None}
    with pytest.raises(MalformedPayloadError, match="ref"):
        fraisier_gitlab.normalize(headers, json.dumps(payload).encode())


def test_who_pushed_is_said_by_one_of_two_fields() -> None:
    payload = json.loads(fixture("push-branch.json")) | {"user_username": None}
    outcome = fraisier_gitlab.normalize({}, json.dumps(payload).encode())
    assert not isinstance(outcome, Ignored)
    assert [push.pusher for push in outcome] == ["Release bot"]
    with pytest.raises(MalformedPayloadError, match="neither user_username nor user_name"):
        fraisier_gitlab.normalize({}, json.dumps(payload | {"user_name": None}).encode())


def signed_at(minutes: float) -> dict[str, str]:
    return signed(b"{}", SIGNING_TOKEN, NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("headers", "secrets", "reason"),
    [
        ({}, [SECRET_TOKEN], "neither webhook-signature nor X-Gitlab-Token is there"),
        ({"x-gitlab-token": ""}, [SECRET_TOKEN], "X-Gitlab-Token is empty: the webhook has no token"),
        ({"x-gitlab-token": "wrong"}, [SECRET_TOKEN], "X-Gitlab-Token is another secret token"),
        ({"x-gitlab-token": SECRET_TOKEN}, [SIGNING_TOKEN], "carries a secret token"),
        (signed_at(0), [SECRET_TOKEN], "it is signed, and no signing token (whsec_...) is configured"),
        (signed_at(0), [OTHER_SIGNING_TOKEN], "webhook-signature is of another signing token"),
        (signed_at(7), [SIGNING_TOKEN], "the sender's clock is 7 min ahead of this one"),
        (signed_at(-12), [SIGNING_TOKEN], "the sender's clock is 12 min behind this one"),
        (signed_at(0) | {"webhook-timestamp": "now"}, [SIGNING_TOKEN], "no time in seconds since 1970"),
        ({"x-hub-signature-256": "sha256=0", "x-github-event": "push"}, [SECRET_TOKEN], "headers of GitHub"),
        ({"x-event-key": "repo:push"}, [SECRET_TOKEN], "headers of Bitbucket"),
        ({"x-gitea-event": "push", "x-github-event": "push"}, [SECRET_TOKEN], "headers of Gitea"),
    ],
)
def test_the_reason_says_why_a_delivery_does_not_verify(
    headers: dict[str, str], secrets: list[str], reason: str
) -> None:
    verdict = fraisier_gitlab.verify(headers, b"{}", secrets, NOW)
    assert isinstance(verdict, Unverified)
    assert reason in verdict.reason


@pytest.mark.parametrize("field", ["ref", "before", "after", "project"])
def test_a_push_without_a_field_that_is_read_is_malformed(field: str) -> None:
    payload = json.loads(fixture("push-branch.json"))
    del payload[field]
    with pytest.raises(MalformedPayloadError, match=f"body: .*`{field}`"):
        fraisier_gitlab.normalize({}, json.dumps(payload).encode())


@pytest.mark.parametrize("field", ["before", "after", "checkout_sha"])
@pytest.mark.parametrize("wrong", ["2E" * 20, "2e" * 19, "2e" * 21, "--upload-pack=x", "2e" * 20 + "\n"])
def test_a_commit_that_is_no_full_object_id_is_malformed(field: str, wrong: str) -> None:
    payload = json.loads(fixture("push-branch.json")) | {field: wrong}
    with pytest.raises(MalformedPayloadError, match=field):
        fraisier_gitlab.normalize({}, json.dumps(payload).encode())


def test_a_deleted_tag_has_no_commit_whatever_else_the_payload_says() -> None:
    payload = json.loads(fixture("tag_push-tag_annotated.json")) | {"after": "0" * 40}
    outcome = fraisier_gitlab.normalize({}, json.dumps(payload).encode())
    assert not isinstance(outcome, Ignored)
    assert [push.after for push in outcome] == [None]


def test_a_tag_named_like_a_branch_is_a_tag() -> None:
    outcome = fraisier_gitlab.normalize({}, fixture("tag_push-tag.json"))
    assert not isinstance(outcome, Ignored)
    assert [(push.name, push.is_tag) for push in outcome] == [("main", True)]


def test_the_delivery_id_is_signed_if_the_delivery_is() -> None:
    headers = signed(b"{}", SIGNING_TOKEN, NOW) | {"idempotency-key": "other"}
    assert fraisier_gitlab.delivery_id(headers) == DeliveryId(headers["webhook-id"], signed=True)


def test_the_delivery_id_is_unsigned_beside_a_secret_token() -> None:
    headers = {"idempotency-key": "9b1d", "webhook-id": "other", "x-gitlab-event-uuid": "shared"}
    assert fraisier_gitlab.delivery_id(headers) == DeliveryId("9b1d", signed=False)
    assert fraisier_gitlab.delivery_id({"x-gitlab-event-uuid": "shared"}) is None

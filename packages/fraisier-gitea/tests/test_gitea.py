import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path
from urllib.parse import quote_plus

import fraisier_gitea
import pytest
from fraisier_core import DeliveryId, Ignored, MalformedPayloadError, Push, Unverified, Verified, form_or_json
from fraisier_core.testing import ProviderConformance

FIXTURES = Path(__file__).parent / "fixtures"
FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
DELIVERY_ID = "f6266f16-1bf3-46a5-9ea4-602e06ead473"


def digest(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def form(payload: bytes) -> bytes:
    return b"payload=" + quote_plus(payload).encode()


def signed_of_form(body: bytes) -> bytes:
    payload = form_or_json(FORM, body) if body.startswith(b"payload=") else b""
    return payload if form(payload) == body else body


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def pushed(headers: dict[str, str], body: bytes) -> list[Push]:
    outcome = fraisier_gitea.normalize(headers, body)
    assert not isinstance(outcome, Ignored)
    return list(outcome)


class TestGitea(ProviderConformance):
    plugin = fraisier_gitea
    secret = "correct horse"
    other_secret = "battery staple"
    signature_header = "x-gitea-signature"
    fixtures = FIXTURES / "gitea"
    marks: tuple[str, ...] = ("x-gitea-", "x-gogs-")

    def sign(self, body: bytes, secret: str, now: datetime) -> dict[str, str]:
        signature = digest(self.signed(body), secret)
        headers = {f"{mark}signature": signature for mark in self.marks}
        return headers | {"x-hub-signature-256": f"sha256={signature}"}

    def signed(self, body: bytes) -> bytes:
        return body

    def event_headers(self, event: str) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        for mark in (*self.marks, "x-github-"):
            headers |= {f"{mark}event": event, f"{mark}delivery": DELIVERY_ID}
        return headers


class TestForgejo(TestGitea):
    signature_header = "x-forgejo-signature"
    marks = ("x-forgejo-", "x-gitea-", "x-gogs-")


class TestGogs(TestGitea):
    signature_header = "x-gogs-signature"
    fixtures = FIXTURES / "gogs"
    marks = ("x-gogs-",)

    def sign(self, body: bytes, secret: str, now: datetime) -> dict[str, str]:
        return {"x-gogs-signature": digest(self.signed(body), secret)}


class TestGiteaForm(TestGitea):
    def event_headers(self, event: str) -> dict[str, str]:
        return super().event_headers(event) | FORM

    def body(self, payload: bytes) -> bytes:
        return form(payload)

    def signed(self, body: bytes) -> bytes:
        return signed_of_form(body)


class TestGogsForm(TestGogs):
    def event_headers(self, event: str) -> dict[str, str]:
        return super().event_headers(event) | FORM

    def body(self, payload: bytes) -> bytes:
        return form(payload)

    def signed(self, body: bytes) -> bytes:
        return signed_of_form(body)


def test_a_form_signs_the_json_and_not_the_form() -> None:
    payload = b'{"ref": "refs/heads/a b+c&d"}'
    headers = FORM | {"x-gogs-signature": digest(payload, "secret")}
    signed = hashlib.sha256(payload).hexdigest()
    assert fraisier_gitea.verify(headers, form(payload), ["secret"]) == Verified(0, signed_sha256=signed)
    assert fraisier_gitea.verify({**headers, **JSON}, payload, ["secret"]) == Verified(0)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"+", b"%20"), (b"%7B", b"%7b"), (b"%7B", b"{"), (b"ref", b"%72ef"), (b"%7D", b"%7D=\n")],
)
def test_another_encoding_of_the_same_form_is_not_signed(old: bytes, new: bytes) -> None:
    payload = b'{"ref": "refs/heads/main"}'
    headers = FORM | {"x-gogs-signature": digest(payload, "secret")}
    body = form(payload).replace(old, new, 1)
    assert body != form(payload)
    assert isinstance(fraisier_gitea.verify(headers, body, ["secret"]), Unverified)


def test_the_first_signature_of_the_family_decides() -> None:
    good, bad = digest(b"{}", "secret"), digest(b"{}", "other")
    for first, second in (
        ("x-gitea-signature", "x-gogs-signature"),
        ("x-forgejo-signature", "x-gitea-signature"),
    ):
        verdict = fraisier_gitea.verify({first: bad, second: good}, b"{}", ["secret"])
        assert isinstance(verdict, Unverified), first


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (
            {},
            "no X-Forgejo-Signature, X-Gitea-Signature or X-Gogs-Signature header: the webhook has no secret",
        ),
        ({"x-gitea-event": "push"}, "no X-Gitea-Signature header"),
        ({"x-forgejo-signature": ""}, "X-Forgejo-Signature is empty: the webhook has no secret"),
        ({"x-gogs-signature": "0" * 40}, "X-Gogs-Signature is no signature"),
        ({"x-gitea-signature": "0" * 64}, "another secret"),
        ({"x-gitlab-token": "secret"}, "headers of GitLab"),
        ({"x-event-key": "repo:push"}, "headers of Bitbucket"),
        ({"x-github-event": "push", "x-hub-signature-256": "sha256="}, "headers of GitHub alone"),
        (FORM | {"x-gogs-signature": "0" * 64}, "another secret"),
    ],
)
def test_the_reason_says_why_a_delivery_does_not_verify(headers: dict[str, str], reason: str) -> None:
    verdict = fraisier_gitea.verify(headers, b"{}", ["secret"])
    assert isinstance(verdict, Unverified)
    assert reason in verdict.reason


def test_githubs_signature_counts_for_nothing() -> None:
    headers = {"x-hub-signature-256": f"sha256={digest(b'{}', 'secret')}", "x-gitea-event": "push"}
    assert isinstance(fraisier_gitea.verify(headers, b"{}", ["secret"]), Unverified)


@pytest.mark.parametrize("mark", ["x-gitea-", "x-forgejo-"])
def test_a_created_tag_is_deployed_once_by_the_push_event(mark: str) -> None:
    for name in ("tag", "tag_annotated"):
        headers = {f"{mark}event": "create", "x-gogs-event": "create"}
        assert isinstance(fraisier_gitea.normalize(headers, fixture(f"gitea/create-{name}.json")), Ignored)
        [push] = pushed({f"{mark}event": "push"}, fixture(f"gitea/push-{name}.json"))
        assert (push.ref, push.before, push.after) == ("refs/tags/v1.0.0", None, "2e" * 20)


def test_a_created_branch_of_gogs_is_deployed_once_by_the_push_event() -> None:
    outcome = fraisier_gitea.normalize({"x-gogs-event": "create"}, fixture("gogs/create-branch_created.json"))
    assert isinstance(outcome, Ignored)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("push", "pull_request"),
        ("push", "create-tag"),
        ("push", "delete-tag_deleted"),
        ("create", "push-branch"),
        ("create", "delete-tag_deleted"),
        ("create", "pull_request"),
        ("delete", "create-tag"),
        ("delete", "push-branch"),
        ("delete", "pull_request"),
    ],
)
def test_another_event_relabelled_is_malformed(event: str, name: str) -> None:
    with pytest.raises(MalformedPayloadError):
        fraisier_gitea.normalize({"x-gogs-event": event}, fixture(f"gogs/{name}.json"))


def test_a_delivery_without_an_event_is_malformed() -> None:
    with pytest.raises(MalformedPayloadError, match="X-Gitea-Event"):
        fraisier_gitea.normalize({"x-github-event": "push"}, fixture("gitea/push-branch.json"))


@pytest.mark.parametrize("field", ["ref", "before", "after", "repository", "pusher"])
def test_a_push_without_a_field_that_is_read_is_malformed(field: str) -> None:
    payload = json.loads(fixture("gitea/push-branch.json"))
    del payload[field]
    with pytest.raises(MalformedPayloadError, match=f"body: .*`{field}`"):
        fraisier_gitea.normalize({"x-gitea-event": "push"}, json.dumps(payload).encode())


@pytest.mark.parametrize("name", ["", "a b", "v1\n", "a/"])
def test_the_name_of_a_created_tag_is_checked(name: str) -> None:
    payload = json.loads(fixture("gogs/create-tag.json")) | {"ref": name}
    with pytest.raises(MalformedPayloadError, match="ref"):
        fraisier_gitea.normalize({"x-gogs-event": "create"}, json.dumps(payload).encode())


@pytest.mark.parametrize("name", ["--upload-pack=x", "$(x)", "x;y", "refs/heads/main"])
def test_a_created_tag_keeps_its_name(name: str) -> None:
    payload = json.loads(fixture("gogs/create-tag.json")) | {"ref": name}
    [push] = pushed({"x-gogs-event": "create"}, json.dumps(payload).encode())
    assert (push.ref, push.is_tag) == (f"refs/tags/{name}", True)


@pytest.mark.parametrize("kind", ["pull", "wiki", "refs/tags/"])
def test_only_branches_and_tags_are_deleted(kind: str) -> None:
    payload = json.loads(fixture("gitea/delete-branch_deleted.json")) | {"ref_type": kind}
    outcome = fraisier_gitea.normalize({"x-gitea-event": "delete"}, json.dumps(payload).encode())
    assert outcome == Ignored("delete", "only branches and tags deploy")


def test_commits_are_never_read() -> None:
    payload = json.loads(fixture("gitea/push-branch.json"))
    for commits in (None, [], [{"id": 1}], "x"):
        body = json.dumps(payload | {"commits": commits, "total_commits": 57}).encode()
        assert pushed({"x-gitea-event": "push"}, body)[0].after == "2e" * 20


def test_the_delivery_id_is_not_signed() -> None:
    for mark in ("x-forgejo-", "x-gitea-", "x-gogs-"):
        assert fraisier_gitea.delivery_id({f"{mark}delivery": "72d3"}) == DeliveryId("72d3", signed=False)
    assert fraisier_gitea.delivery_id({"x-github-delivery": "72d3"}) is None

import base64
import hmac
import json
import time
import uuid
from collections.abc import Sequence

from fraisier_core.testing import ApiRequest

from tests.end_to_end import EndToEnd, Hook, Pushed
from tests.forge_apis import GitLab, Taken
from tests.statuses_end_to_end import StatusesEndToEnd


def payload(pushed: Pushed) -> bytes:
    kind = "tag_push" if pushed.is_tag else "push"
    project = {"path_with_namespace": "acme/my-api", "git_http_url": pushed.url, "git_ssh_url": pushed.url}
    event = {
        "object_kind": kind,
        "event_name": kind,
        "ref": pushed.ref,
        "before": pushed.before,
        "after": pushed.after,
        "checkout_sha": pushed.commit if pushed.after.strip("0") else None,
        "user_name": "Release bot",
        "user_username": "release-bot",
        "project": project,
    }
    return json.dumps(event).encode()


def event_headers(pushed: Pushed) -> dict[str, str]:
    named = "Tag Push Hook" if pushed.is_tag else "Push Hook"
    return {"X-Gitlab-Event": named, "X-Gitlab-Webhook-UUID": str(uuid.uuid4())}


class TestSecretToken(EndToEnd):
    provider = "gitlab"

    def hooks(self, pushed: Pushed, secret: str) -> Sequence[Hook]:
        headers = {"X-Gitlab-Token": secret, "Idempotency-Key": str(uuid.uuid4())}
        return [Hook(event_headers(pushed) | headers, payload(pushed))]


class TestSigningToken(EndToEnd):
    provider = "gitlab"
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    other_secret = "whsec_" + base64.b64encode(b"o" * 32).decode()

    def hooks(self, pushed: Pushed, secret: str) -> Sequence[Hook]:
        body = payload(pushed)
        return [Hook(event_headers(pushed) | self.signature(body, secret), body)]

    def signature(self, body: bytes, secret: str) -> dict[str, str]:
        message_id, timestamp = str(uuid.uuid4()), str(int(time.time()))
        key = base64.b64decode(secret.removeprefix("whsec_"))
        digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
        return {
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + base64.b64encode(digest).decode(),
            "Idempotency-Key": message_id,
        }


class TestGitLabStatuses(StatusesEndToEnd):
    pushes = TestSecretToken()
    api_path = "/api/v4"
    states = ("pending", "running", "success")
    forge = GitLab()

    def take(self, request: ApiRequest, token: str) -> Taken:
        return self.forge.take(request, token)

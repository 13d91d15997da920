import hmac
import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from fraisier_core.testing import ApiRequest

from tests.end_to_end import EndToEnd, Hook, Host, Pushed, Repository
from tests.forge_apis import Taken, take_gitea
from tests.statuses_end_to_end import StatusesEndToEnd

USER = {"login": "release-bot", "username": "release-bot"}


def repository(pushed: Pushed) -> dict[str, Any]:
    return {"full_name": "acme/my-api", "clone_url": pushed.url, "ssh_url": pushed.url}


def push(pushed: Pushed) -> dict[str, Any]:
    head = {"id": pushed.commit} if pushed.after.strip("0") else None
    ids = {"ref": pushed.ref, "before": pushed.before, "after": pushed.after, "head_commit": head}
    return ids | {"repository": repository(pushed), "pusher": USER, "sender": USER}


def named(pushed: Pushed, **more: str) -> dict[str, Any]:
    kind = "tag" if pushed.is_tag else "branch"
    event = {"ref": pushed.name, "ref_type": kind, "repository": repository(pushed), "sender": USER}
    return event | more


class TestGitea(EndToEnd):
    """A created ref has a `create` event beside its push, a deleted tag a push beside its `delete` event."""

    provider = "gitea"
    families: tuple[str, ...] = ("Gitea", "Gogs")

    def hooks(self, pushed: Pushed, secret: str) -> Sequence[Hook]:
        return [self.hook(event, payload, secret) for event, payload in self.events(pushed)]

    def events(self, pushed: Pushed) -> Iterator[tuple[str, dict[str, Any]]]:
        if not pushed.before.strip("0"):
            yield "create", named(pushed, sha=pushed.after)
        if pushed.is_tag or pushed.after.strip("0"):
            yield "push", push(pushed)
        if not pushed.after.strip("0"):
            yield "delete", named(pushed, pusher_type="user")

    def hook(self, event: str, payload: dict[str, Any], secret: str) -> Hook:
        body = json.dumps(payload, indent=2).encode()
        headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": str(uuid.uuid4())}
        digest = hmac.digest(secret.encode(), body, "sha256").hex()
        headers["X-Hub-Signature-256"] = f"sha256={digest}"
        for family in self.families:
            headers |= {f"X-{family}-Event": event, f"X-{family}-Signature": digest}
            headers[f"X-{family}-Delivery"] = headers["X-GitHub-Delivery"]
        return Hook(headers, body)


class TestForgejo(TestGitea):
    provider = "forgejo"
    families = ("Forgejo", "Gitea", "Gogs")


class TestGogs(TestGitea):
    """Of tags it tells by `create` and `delete` events alone; this one sends forms."""

    provider = "gogs"

    def events(self, pushed: Pushed) -> Iterator[tuple[str, dict[str, Any]]]:
        return (
            (event, payload)
            for event, payload in super().events(pushed)
            if event != "push" or not pushed.is_tag
        )

    def hook(self, event: str, payload: dict[str, Any], secret: str) -> Hook:
        body = json.dumps(payload, indent=2).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Github-Event": event,
            "X-Gogs-Event": event,
            "X-Gogs-Delivery": str(uuid.uuid4()),
            "X-Gogs-Signature": hmac.digest(secret.encode(), body, "sha256").hex(),
        }
        return Hook(headers, b"payload=" + quote_plus(body).encode())


def test_a_recorded_form_that_is_sent_again_as_json_repeats_it(tmp_path: Path) -> None:
    gogs = TestGogs()
    repository = Repository(tmp_path / "forge")
    host = Host(tmp_path / "host", repository.forge.url, gogs.provider, gogs.secret)
    repository.commit("first")
    payload = push(repository.push("HEAD:refs/heads/main", "refs/heads/main"))
    recorded = gogs.hook("push", payload, gogs.secret)
    fresh = {"Content-Type": "application/json", "X-Gogs-Delivery": str(uuid.uuid4())}
    with host.webhook() as url:
        _, first = recorded.deliver(url)
        status, again = Hook({**recorded.headers, **fresh}, json.dumps(payload, indent=2).encode()).deliver(
            url
        )
    assert (status, again["repeats"]) == (202, first["event"])


class TestGiteaStatuses(StatusesEndToEnd):
    pushes: EndToEnd = TestGitea()
    api_path = "/api/v1"

    def take(self, request: ApiRequest, token: str) -> Taken:
        return take_gitea(request, token)


class TestForgejoStatuses(TestGiteaStatuses):
    pushes = TestForgejo()

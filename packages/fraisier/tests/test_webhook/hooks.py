"""Store as the forges send them, signed for real."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

GITHUB_SECRET = "It's a Secret to Everybody"
GITHUB_OLD_SECRET = "the-secret-before-the-rotation"
GITLAB_TOKEN = "plain-token-of-gitlab"
GITLAB_KEY = bytes(range(32))
GITLAB_SIGNING_TOKEN = "whsec_" + base64.b64encode(GITLAB_KEY).decode()
SECRETS = (GITHUB_SECRET, GITHUB_OLD_SECRET, GITLAB_TOKEN, GITLAB_SIGNING_TOKEN)
GITHUB_URL = "https://github.com/acme/my-api.git"
GITLAB_URL = "https://gitlab.example.com/acme/loader.git"
BEFORE = "b" * 40


@dataclass(frozen=True, slots=True)
class Hook:
    """A request that a forge sends.

    Args:
        path: of the URL.
        body: the raw body.
        headers: all of its own.
    """

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def with_headers(self, **headers: str) -> Hook:
        """Return the same request with these headers changed; `_` stands for `-`."""
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers=self.headers | changed)


def new_commit() -> str:
    return secrets.token_hex(20)


def github_push(
    commit: str, branch: str = "main", pusher: str = "author", url: str = GITHUB_URL
) -> dict[str, Any]:
    return {
        "ref": f"refs/heads/{branch}",
        "before": BEFORE,
        "after": commit,
        "repository": {"full_name": "acme/my-api", "clone_url": url, "ssh_url": url},
        "pusher": {"name": pusher},
        "head_commit": {"id": commit},
    }


def gitlab_push(commit: str, branch: str = "main", url: str = GITLAB_URL) -> dict[str, Any]:
    return {
        "object_kind": "push",
        "ref": f"refs/heads/{branch}",
        "before": BEFORE,
        "after": commit,
        "checkout_sha": commit,
        "user_username": "author",
        "project": {"path_with_namespace": "acme/loader", "git_http_url": url, "git_ssh_url": url},
    }


def github(
    payload: object,
    event: str = "push",
    secret: str = GITHUB_SECRET,
    path: str = "/webhook",
    delivery: str = "",
) -> Hook:
    """Return a delivery of GitHub's; a payload of bytes is sent as it is."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": delivery or str(uuid4()),
        "x-hub-signature-256": "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex(),
    }
    return Hook(path, body, headers)


def gitlab_with_token(payload: object, token: str = GITLAB_TOKEN) -> Hook:
    """Return a delivery of GitLab's with its secret token."""
    headers = {
        "content-type": "application/json",
        "x-gitlab-event": "Push Hook",
        "x-gitlab-token": token,
        "idempotency-key": str(uuid4()),
    }
    return Hook("/webhook/gitlab", json.dumps(payload).encode(), headers)


def gitlab_signed(payload: object, delivery: str = "", age_seconds: int = 0) -> Hook:
    """Return a delivery of GitLab's signed with its signing token."""
    body = json.dumps(payload).encode()
    identity, sent = delivery or str(uuid4()), str(int(time.time()) - age_seconds)
    digest = hmac.digest(GITLAB_KEY, f"{identity}.{sent}.".encode() + body, "sha256")
    headers = {
        "content-type": "application/json",
        "x-gitlab-event": "Push Hook",
        "idempotency-key": identity,
        "webhook-id": identity,
        "webhook-timestamp": sent,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
    return Hook("/webhook/gitlab", body, headers)

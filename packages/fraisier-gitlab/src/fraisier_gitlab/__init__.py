"""Pushes from GitLab, gitlab.com and self-managed.

A hook has a secret token, which every delivery carries in plain text, or since GitLab 19.0 a signing token,
with which deliveries are signed: https://docs.gitlab.com/user/project/integrations/webhooks/
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

from fraisier_core import (
    BRANCH_PREFIX,
    TAG_PREFIX,
    DeliveryId,
    Ignored,
    Payload,
    PayloadCommit,
    PayloadRef,
    PayloadText,
    ProviderSettings,
    Push,
    Verified,
    commit_or_none,
    hookimpl,
)
from pydantic import model_validator

SIGNING_TOKEN_PREFIX = "whsec_"  # noqa: S105
SIGNING_KEY_BYTES = 32
TOLERANCE_SECONDS = 300
PUSH_EVENTS = ("push", "tag_push")


class GitLabSettings(ProviderSettings):
    """The section `git.gitlab`: secret tokens, and signing tokens, which start with `whsec_`."""

    @model_validator(mode="after")
    def _decodable_signing_tokens(self) -> GitLabSettings:
        for number, token in enumerate(self.secrets(), start=1):
            if _is_signing_token(token) and _signing_key(token) is None:
                raise ValueError(
                    f"secret {number} starts with {SIGNING_TOKEN_PREFIX}, but what follows is not base64 of"
                    f" {SIGNING_KEY_BYTES} bytes: copy the whole signing token"
                )
        return self


class Project(Payload):
    """The project that was pushed to."""

    path_with_namespace: PayloadText
    git_http_url: PayloadText
    git_ssh_url: PayloadText


class Event(Payload):
    """What every event has."""

    object_kind: PayloadText


class PushPayload(Event):
    """A push: https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events"""

    ref: PayloadRef
    before: PayloadCommit
    after: PayloadCommit
    user_username: PayloadText
    project: Project
    checkout_sha: PayloadCommit | None = None

    def push(self) -> Push:
        """Return the push; of an annotated tag, `after` is the tag object and `checkout_sha` the commit."""
        after = commit_or_none(self.after)
        if after and self.checkout_sha and self.ref.startswith(TAG_PREFIX):
            after = commit_or_none(self.checkout_sha)
        return Push(
            event=self.object_kind,
            repository=self.project.path_with_namespace,
            urls=(self.project.git_http_url, self.project.git_ssh_url),
            ref=self.ref,
            before=commit_or_none(self.before),
            after=after,
            pusher=self.user_username,
        )


@hookimpl
def settings() -> type[GitLabSettings]:
    """Return the model of the section `git.gitlab`."""
    return GitLabSettings


@hookimpl
def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> Verified | None:
    """Return the signing token that signed the delivery, or the secret token that it carries. If a signature
    and a signing token are there, the signature decides: a bad one is never made good by a secret token.
    """
    if "webhook-signature" in headers and any(map(_is_signing_token, secrets)):
        return _verify_signature(headers, body, secrets, now)
    return _verify_token(headers.get("x-gitlab-token", ""), secrets)


@hookimpl
def normalize(body: bytes) -> Sequence[Push] | Ignored:
    """Return the one ref of a push; the body says which event it is, never the `X-Gitlab-Event` header."""
    kind = Event.parse(body).object_kind
    if kind not in PUSH_EVENTS:
        return Ignored(kind, "only pushes deploy")
    payload = PushPayload.parse(body)
    if not payload.ref.startswith((BRANCH_PREFIX, TAG_PREFIX)):
        return Ignored(kind, "only branches and tags deploy")
    return [payload.push()]


@hookimpl
def delivery_id(headers: Mapping[str, str]) -> DeliveryId | None:
    """Return the id that GitLab repeats when it sends a delivery again. It is signed as `webhook-id`,
    unsigned as `Idempotency-Key` (GitLab 17.4). `X-Gitlab-Webhook-UUID` and `X-Gitlab-Event-UUID` do not
    identify a delivery.
    """
    signed = "webhook-signature" in headers
    value = headers.get("webhook-id" if signed else "idempotency-key")
    return DeliveryId(value, signed) if value else None


def _verify_signature(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
) -> Verified | None:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
    timestamp = headers.get("webhook-timestamp", "")
    if not _is_recent(timestamp, now):
        return None
    signed = f"{headers.get('webhook-id', '')}.{timestamp}.".encode("latin-1") + body
    given = headers["webhook-signature"].encode("latin-1").split(b" ")
    for index, key in enumerate(map(_signing_key, secrets)):
        if key and _is_signed(key, signed, given):
            return Verified(index)
    return None


def _verify_token(given: str, secrets: Sequence[str]) -> Verified | None:
    for index, secret in enumerate(secrets):
        if not _is_signing_token(secret) and hmac.compare_digest(secret.encode(), given.encode("latin-1")):
            return Verified(index, signs_body=False)
    return None


def _is_recent(timestamp: str, now: datetime) -> bool:
    """Whether `timestamp`, in seconds since 1970, is within the tolerance on either side of `now`."""
    is_time = timestamp.isdecimal() and len(timestamp) <= 12
    return is_time and abs(now.timestamp() - int(timestamp)) <= TOLERANCE_SECONDS


def _is_signed(key: bytes, signed: bytes, signatures: list[bytes]) -> bool:
    signature = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
    return any(hmac.compare_digest(signature, one) for one in signatures)


def _is_signing_token(secret: str) -> bool:
    return secret.startswith(SIGNING_TOKEN_PREFIX)


def _signing_key(secret: str) -> bytes | None:
    if not _is_signing_token(secret):
        return None
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_TOKEN_PREFIX), validate=True)
    except ValueError:
        return None
    return key if len(key) == SIGNING_KEY_BYTES else None

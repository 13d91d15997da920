"""Pushes from GitLab, gitlab.com and self-managed.

A hook has a secret token, which every delivery carries in plain text, or since GitLab 19.0 a signing token,
with which deliveries are signed: https://docs.gitlab.com/user/project/integrations/webhooks/
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from fraisier_core import (
    BRANCH_PREFIX,
    SAMPLE_REF,
    TAG_PREFIX,
    DeliveryId,
    Ignored,
    MalformedPayloadError,
    Payload,
    PayloadCommit,
    PayloadRef,
    PayloadText,
    ProviderSettings,
    Push,
    SampleDelivery,
    Unverified,
    Verified,
    commit_or_none,
    hookimpl,
    sender,
)
from pydantic import model_validator

SIGNING_TOKEN_PREFIX = "whsec_"  # noqa: S105
SIGNING_KEY_BYTES = 32
TOLERANCE_SECONDS = 300
PUSH_EVENTS = ("push", "tag_push")
PUSH_HEADERS = ("", "Push Hook", "Tag Push Hook")
OTHER_FORGES = {
    "x-forgejo-": "Forgejo",
    "x-gitea-": "Gitea",
    "x-gogs-": "Gogs",
    "x-github-": "GitHub",
    "x-event-key": "Bitbucket",
}


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
    """What says which event it is: `object_kind`, or `event_name` alone in events of members, of subgroups
    and of system hooks (https://docs.gitlab.com/administration/system_hooks/). Nothing else is read of an
    event that deploys nothing.
    """

    object_kind: object = None
    event_name: object = None

    @property
    def kind(self) -> str:
        """The name of the event, empty if the body does not say it."""
        name = self.object_kind or self.event_name
        return name if isinstance(name, str) else ""


class PushPayload(Payload):
    """A push: https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events. A system hook
    sends the same, without `object_kind` and `user_username` in its documentation.
    """

    ref: PayloadRef
    before: PayloadCommit
    after: PayloadCommit
    project: Project
    user_username: PayloadText | None = None
    user_name: PayloadText | None = None
    checkout_sha: PayloadCommit | None = None

    def push(self, kind: str) -> Push:
        """Return the push; of an annotated tag, `after` is the tag object and `checkout_sha` the commit."""
        after = commit_or_none(self.after)
        if after and self.checkout_sha and self.ref.startswith(TAG_PREFIX):
            after = commit_or_none(self.checkout_sha)
        pusher = self.user_username or self.user_name
        if pusher is None:
            raise MalformedPayloadError("the payload says neither user_username nor user_name")
        return Push(
            event=kind,
            repository=self.project.path_with_namespace,
            urls=(self.project.git_http_url, self.project.git_ssh_url),
            ref=self.ref,
            before=commit_or_none(self.before),
            after=after,
            pusher=pusher,
        )


@hookimpl
def settings() -> type[GitLabSettings]:
    """Return the model of the section `git.gitlab`."""
    return GitLabSettings


@hookimpl
def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
) -> Verified | Unverified:
    """Return the signing token that signed the delivery, or the secret token that it carries. If a signature
    and a signing token are there, the signature decides: a bad one is never made good by a secret token.
    """
    if "webhook-signature" in headers and any(map(_is_signing_token, secrets)):
        return _verify_signature(headers, body, secrets, now)
    if "x-gitlab-token" in headers:
        return _verify_token(headers["x-gitlab-token"], secrets)
    return Unverified(_why_unsigned(headers))


@hookimpl
def normalize(headers: Mapping[str, str], body: bytes) -> Sequence[Push] | Ignored:
    """Return the one ref of a push; the body says which event it is. If it does not, the unsigned header
    `X-Gitlab-Event` can name an event that is ignored, and never a push.
    """
    kind = Event.parse(body).kind
    named = headers.get("x-gitlab-event", "")
    if not kind and named in PUSH_HEADERS:
        raise MalformedPayloadError("the payload says neither object_kind nor event_name")
    if kind not in PUSH_EVENTS:
        return Ignored(kind or named, "only pushes deploy")
    payload = PushPayload.parse(body)
    if not payload.ref.startswith((BRANCH_PREFIX, TAG_PREFIX)):
        return Ignored(kind, "only branches and tags deploy")
    return [payload.push(kind)]


@hookimpl
def delivery_id(headers: Mapping[str, str]) -> DeliveryId | None:
    """Return the id that GitLab repeats when it sends a delivery again. It is signed as `webhook-id`,
    unsigned as `Idempotency-Key` (GitLab 17.4). `X-Gitlab-Webhook-UUID` and `X-Gitlab-Event-UUID` do not
    identify a delivery.
    """
    signed = "webhook-signature" in headers
    value = headers.get("webhook-id" if signed else "idempotency-key")
    return DeliveryId(value, signed) if value else None


@hookimpl
def sample_delivery(secret: str, now: datetime) -> SampleDelivery:
    """Return a push of a project that does not exist (https://www.rfc-editor.org/rfc/rfc2606), signed with a
    signing token, or carrying a secret token.
    """
    url = "https://forge.invalid/fraisier/test.git"
    event = {
        "object_kind": "push",
        "ref": SAMPLE_REF,
        "before": "0" * 40,
        "after": "0" * 40,
        "project": {"path_with_namespace": "fraisier/test", "git_http_url": url, "git_ssh_url": url},
        "user_username": "fraisier",
    }
    body = json.dumps(event).encode()
    if (key := _signing_key(secret)) is None:
        token = secret.encode().decode("latin-1")
        return SampleDelivery({"x-gitlab-event": "Push Hook", "x-gitlab-token": token}, body)
    identity, sent = "fraisier-test", str(int(now.timestamp()))
    signature = _signature(key, f"{identity}.{sent}.".encode() + body).decode()
    headers = {"webhook-id": identity, "webhook-timestamp": sent, "webhook-signature": signature}
    return SampleDelivery({"x-gitlab-event": "Push Hook", **headers}, body)


def _verify_signature(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
) -> Verified | Unverified:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
    timestamp = headers.get("webhook-timestamp", "")
    if problem := _clock_problem(timestamp, now):
        return Unverified(problem)
    signed = f"{headers.get('webhook-id', '')}.{timestamp}.".encode("latin-1") + body
    given = headers["webhook-signature"].encode("latin-1").split(b" ")
    for index, key in enumerate(map(_signing_key, secrets)):
        if key and _is_signed(key, signed, given):
            return Verified(index)
    return Unverified("webhook-signature is of another signing token, or of what was changed on the way")


def _verify_token(given: str, secrets: Sequence[str]) -> Verified | Unverified:
    for index, secret in enumerate(secrets):
        if not _is_signing_token(secret) and hmac.compare_digest(secret.encode(), given.encode("latin-1")):
            return Verified(index, signs_body=False)
    if all(map(_is_signing_token, secrets)):
        return Unverified(
            "it carries a secret token (X-Gitlab-Token), and only signing tokens are configured"
        )
    is_empty = "X-Gitlab-Token is empty: the webhook has no token"
    return Unverified("X-Gitlab-Token is another secret token" if given else is_empty)


def _why_unsigned(headers: Mapping[str, str]) -> str:
    if "webhook-signature" in headers:
        return f"it is signed, and no signing token ({SIGNING_TOKEN_PREFIX}...) is configured"
    if other := sender(headers, OTHER_FORGES):
        return f"it has headers of {other}: use the provider of that forge"
    return "neither webhook-signature nor X-Gitlab-Token is there: the webhook has no token"


def _clock_problem(timestamp: str, now: datetime) -> str | None:
    """Return what is wrong with `timestamp`, in seconds since 1970, unless it is within the tolerance."""
    if not timestamp.isdecimal() or len(timestamp) > 12:
        return "webhook-timestamp is no time in seconds since 1970"
    ahead = int(timestamp) - now.timestamp()
    if abs(ahead) <= TOLERANCE_SECONDS:
        return None
    minutes = f"{abs(ahead) / 60:.0f} min"
    if ahead > 0:
        return f"the sender's clock is {minutes} ahead of this one"
    return f"the sender's clock is {minutes} behind this one, or the delivery is as old"


def _is_signed(key: bytes, signed: bytes, signatures: list[bytes]) -> bool:
    signature = _signature(key, signed)
    return any(hmac.compare_digest(signature, one) for one in signatures)


def _signature(key: bytes, signed: bytes) -> bytes:
    return b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))


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

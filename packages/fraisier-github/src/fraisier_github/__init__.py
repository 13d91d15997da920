"""Pushes from GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

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
    Push,
    SampleDelivery,
    Unverified,
    Verified,
    commit_or_none,
    form_or_json,
    hmac_signature,
    hookimpl,
    sender,
    verify_hmac,
)

SIGNATURE_PREFIX = "sha256="
# The first three send GitHub's headers beside their own, so with a shared secret they would pass for GitHub.
OTHER_FORGES = {
    "x-forgejo-": "Forgejo",
    "x-gitea-": "Gitea",
    "x-gogs-": "Gogs",
    "x-gitlab-": "GitLab",
    "x-event-key": "Bitbucket",
}


class Repository(Payload):
    """The repository that was pushed to."""

    full_name: PayloadText
    clone_url: PayloadText
    ssh_url: PayloadText


class Pusher(Payload):
    """Who pushed: a user's login, or the owner of a deploy key."""

    name: PayloadText


class HeadCommit(Payload):
    """The commit that the ref points to; of an annotated tag, `after` is the tag object."""

    id: PayloadCommit


class PushPayload(Payload):
    """A `push` event: https://docs.github.com/en/webhooks/webhook-events-and-payloads#push."""

    ref: PayloadRef
    before: PayloadCommit
    after: PayloadCommit
    repository: Repository
    pusher: Pusher
    head_commit: HeadCommit | None = None

    def push(self) -> Push:
        """Return the push, with the commit that the ref points to."""
        after = commit_or_none(self.after)
        if after and self.head_commit and self.ref.startswith(TAG_PREFIX):
            after = commit_or_none(self.head_commit.id)
        return Push(
            event="push",
            repository=self.repository.full_name,
            urls=(self.repository.clone_url, self.repository.ssh_url),
            ref=self.ref,
            before=commit_or_none(self.before),
            after=after,
            pusher=self.pusher.name,
        )


@hookimpl
def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> Verified | Unverified:
    """Return the secret whose HMAC-SHA256 of the raw body is in `X-Hub-Signature-256`: `sha256=` and 64
    lower-case hexadecimal digits. `X-Hub-Signature` (SHA-1) counts for nothing.
    """
    if other := sender(headers, OTHER_FORGES):
        return Unverified(f"it has headers of {other}: use the provider of that forge")
    if "x-hub-signature-256" not in headers and "x-hub-signature" in headers:
        return Unverified("it is signed with SHA-1 alone (X-Hub-Signature), not with X-Hub-Signature-256")
    return verify_hmac(headers, "X-Hub-Signature-256", body, secrets, prefix=SIGNATURE_PREFIX)


@hookimpl
def normalize(headers: Mapping[str, str], body: bytes) -> Sequence[Push] | Ignored:
    """Return the one ref of a `push` event. The event's name is not signed; another event's body that is
    called `push` lacks fields and is malformed.
    """
    event = headers.get("x-github-event", "")
    if not event:
        raise MalformedPayloadError("the X-GitHub-Event header is missing")
    if event != "push":
        return Ignored(event, "a test delivery" if event == "ping" else "only push events deploy")
    payload = PushPayload.parse(form_or_json(headers, body))
    if not payload.ref.startswith((BRANCH_PREFIX, TAG_PREFIX)):
        return Ignored(event, "only branches and tags deploy")
    return [payload.push()]


@hookimpl
def delivery_id(headers: Mapping[str, str]) -> DeliveryId | None:
    """Return `X-GitHub-Delivery`, which stays the same on redelivery and is not signed."""
    value = headers.get("x-github-delivery")
    return DeliveryId(value, signed=False) if value else None


@hookimpl
def sample_delivery(secret: str) -> SampleDelivery:
    """Return a `push` event of a repository that does not exist (https://www.rfc-editor.org/rfc/rfc2606)."""
    url = "https://forge.invalid/fraisier/test.git"
    event = {
        "ref": SAMPLE_REF,
        "before": "0" * 40,
        "after": "0" * 40,
        "repository": {"full_name": "fraisier/test", "clone_url": url, "ssh_url": url},
        "pusher": {"name": "fraisier"},
    }
    body = json.dumps(event).encode()
    signature = hmac_signature(secret, body, SIGNATURE_PREFIX)
    return SampleDelivery({"x-github-event": "push", "x-hub-signature-256": signature}, body)

"""Pushes from the forge of Acme."""

import hmac
from collections.abc import Mapping, Sequence

from fraisier_core import (
    Ignored,
    Payload,
    PayloadCommit,
    PayloadRef,
    PayloadText,
    Push,
    Unverified,
    Verified,
    commit_or_none,
    hookimpl,
)


class PushPayload(Payload):
    """A push as this forge describes it."""

    ref: PayloadRef
    old: PayloadCommit
    new: PayloadCommit
    repository: PayloadText
    url: PayloadText
    user: PayloadText


@hookimpl
def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> Verified | Unverified:
    """Return the secret whose HMAC-SHA256 of the body is in `X-Acme-Signature`."""
    given = headers.get("x-acme-signature", "").encode("latin-1")
    for index, secret in enumerate(secrets):
        if hmac.compare_digest(hmac.digest(secret.encode(), body, "sha256").hex().encode(), given):
            return Verified(index)
    return Unverified("wrong secret" if given else "no X-Acme-Signature header")


@hookimpl
def normalize(headers: Mapping[str, str], body: bytes) -> Sequence[Push] | Ignored:
    """Return the one ref that was pushed."""
    event = headers.get("x-acme-event", "")
    if event != "push":
        return Ignored(event, "only pushes deploy")
    payload = PushPayload.parse(body)
    before, after = commit_or_none(payload.old), commit_or_none(payload.new)
    return [Push(event, payload.repository, (payload.url,), payload.ref, before, after, payload.user)]

"""Pushes from the forge of Acme."""

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
    verify_hmac,
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
    return verify_hmac(headers, "X-Acme-Signature", body, secrets)


@hookimpl
def normalize(headers: Mapping[str, str], body: bytes) -> Sequence[Push] | Ignored:
    """Return the one ref that was pushed."""
    event = headers.get("x-acme-event", "")
    if event != "push":
        return Ignored(event, "only pushes deploy")
    payload = PushPayload.parse(body)
    before, after = commit_or_none(payload.old), commit_or_none(payload.new)
    return [Push(event, payload.repository, (payload.url,), payload.ref, before, after, payload.user)]

"""Pushes from Gitea, Forgejo and Gogs, of which each grew from the next, so that one module reads all three.

Sources: https://docs.gitea.com/usage/repository/webhooks, https://forgejo.org/docs/latest/user/webhooks/,
https://github.com/gogs/gogs/blob/main/internal/database/webhook.go
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

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
    PayloadRefName,
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

# How the headers of each begin. It sends those of all that follow as well, so the first that is found counts.
FAMILY = {"x-forgejo-": "Forgejo", "x-gitea-": "Gitea", "x-gogs-": "Gogs"}
OTHER_FORGES = {"x-gitlab-": "GitLab", "x-event-key": "Bitbucket"}
PREFIXES = {"branch": BRANCH_PREFIX, "tag": TAG_PREFIX}
FIELD = b"payload="
SLICE_BYTES = 64 * 1024
# What https://pkg.go.dev/net/url#QueryEscape makes of any text: it leaves letters, digits and `-._~` alone.
ESCAPED = re.compile(rb"(?:[\w.~+-]|%(?:[0189A-F][0-9A-F]|2[1-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-DF]))++")


class Repository(Payload):
    """The repository that was pushed to."""

    full_name: PayloadText
    clone_url: PayloadText
    ssh_url: PayloadText


class User(Payload):
    """Who pushed."""

    login: PayloadText


class HeadCommit(Payload):
    """The commit that the ref points to; of an annotated tag, `after` is the tag object."""

    id: PayloadCommit


class PushPayload(Payload):
    """A `push` event. Gogs sends none for tags, and no `head_commit`."""

    ref: PayloadRef
    before: PayloadCommit
    after: PayloadCommit
    repository: Repository
    pusher: User
    head_commit: HeadCommit | None = None

    def push(self) -> Push:
        """Return the push, with the commit that the ref points to."""
        after = commit_or_none(self.after)
        if after and self.head_commit and self.ref.startswith(TAG_PREFIX):
            after = commit_or_none(self.head_commit.id)
        repository = self.repository
        return Push(
            event="push",
            repository=repository.full_name,
            urls=(repository.clone_url, repository.ssh_url),
            ref=self.ref,
            before=commit_or_none(self.before),
            after=after,
            pusher=self.pusher.login,
        )


class RefPayload(Payload):
    """What `create` and `delete` events have in common: `ref` is the short name, and where the ref was before
    is not told.
    """

    ref: PayloadRefName
    ref_type: PayloadText
    repository: Repository
    sender: User

    def to(self, event: str, after: str | None) -> Push:
        """Return the push of the ref to a commit, None if it was deleted."""
        repository = self.repository
        return Push(
            event=event,
            repository=repository.full_name,
            urls=(repository.clone_url, repository.ssh_url),
            ref=f"{PREFIXES[self.ref_type]}{self.ref}",
            before=None,
            after=after,
            pusher=self.sender.login,
        )


class CreatePayload(RefPayload):
    """A `create` event; `sha` of an annotated tag is the tag object. Gogs sends it of a moved tag, too."""

    sha: PayloadCommit


class DeletePayload(RefPayload):
    """A `delete` event. A `create` event has all of it but `pusher_type`:
    https://github.com/go-gitea/gitea/blob/main/modules/structs/hook.go
    """

    pusher_type: PayloadText


@hookimpl
def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> Verified | Unverified:
    """Return the secret whose HMAC-SHA256 of the JSON is in `X-Forgejo-Signature`, `X-Gitea-Signature` or
    `X-Gogs-Signature`, the first of them that is there: 64 lower-case hexadecimal digits. Of a form, the
    field `payload` is signed: a form and its JSON are one delivery, and what is encoded otherwise than by the
    forge counts as it is. The headers of GitHub that come along count for nothing.
    """
    if other := sender(headers, OTHER_FORGES):
        return Unverified(f"it has headers of {other}: use the provider of that forge")
    forge = sender(headers, FAMILY)
    if forge is None:
        return Unverified(_why_of_no_family(headers))
    name = f"X-{forge}-Signature"
    with suppress(MalformedPayloadError):
        signed = form_or_json(headers, body)
        verdict = verify_hmac(headers, name, signed, secrets)
        if isinstance(verdict, Verified) and signed is body:
            return verdict
        if isinstance(verdict, Verified) and _is_own_encoding(body):
            return replace(verdict, signed_sha256=hashlib.sha256(signed).hexdigest())
    return verify_hmac(headers, name, body, secrets)


@hookimpl
def normalize(headers: Mapping[str, str], body: bytes) -> Sequence[Push] | Ignored:
    """Return the one ref of a `push` or `delete` event, or a tag of Gogs that was created. The name of the
    event is not signed; another event's body that is called one of these lacks fields and is malformed.
    """
    event = _header(headers, "event")
    if not event:
        raise MalformedPayloadError("no X-Forgejo-Event, X-Gitea-Event or X-Gogs-Event header")
    if event == "push":
        return _pushed(PushPayload.parse(form_or_json(headers, body)))
    if event == "create":
        return _created(headers, CreatePayload.parse(form_or_json(headers, body)))
    if event == "delete":
        return _deleted(DeletePayload.parse(form_or_json(headers, body)))
    return Ignored(event, "only pushes deploy")


@hookimpl
def delivery_id(headers: Mapping[str, str]) -> DeliveryId | None:
    """Return `X-Forgejo-Delivery`, `X-Gitea-Delivery` or `X-Gogs-Delivery`, which is not signed. Gogs repeats
    it when it sends a delivery again.
    """
    value = _header(headers, "delivery")
    return DeliveryId(value, signed=False) if value else None


@hookimpl
def sample_delivery(secret: str) -> SampleDelivery:
    """Return a `push` event like the forge's own test delivery, of a repository that does not exist
    (https://www.rfc-editor.org/rfc/rfc2606).
    """
    url = "https://forge.invalid/fraisier/test.git"
    event = {
        "ref": SAMPLE_REF,
        "before": "0" * 40,
        "after": "0" * 40,
        "repository": {"full_name": "fraisier/test", "clone_url": url, "ssh_url": url},
        "pusher": {"login": "fraisier"},
    }
    body = json.dumps(event).encode()
    return SampleDelivery({"x-gitea-event": "push", "x-gitea-signature": hmac_signature(secret, body)}, body)


def _is_own_encoding(form: bytes) -> bool:
    """Whether a form is the one that the forge makes of its JSON. Otherwise, one delivery could be repeated
    under as many hashes as there are ways to encode it. Other threads get their turn between two slices.
    """
    at = len(FIELD)
    while found := ESCAPED.match(form, at, at + SLICE_BYTES):
        at = found.end()
    return at == len(form)


def _pushed(payload: PushPayload) -> Sequence[Push] | Ignored:
    # https://github.com/go-gitea/gitea/blob/main/routers/web/repo/setting/webhook.go, TestWebhook
    if payload.before == payload.after:
        return Ignored("push", "a test delivery")
    if not payload.ref.startswith((BRANCH_PREFIX, TAG_PREFIX)):
        return Ignored("push", "only branches and tags deploy")
    return [payload.push()]


def _created(headers: Mapping[str, str], payload: CreatePayload) -> Sequence[Push] | Ignored:
    """Return a tag of Gogs; whatever else is created is pushed as well, and deployed once."""
    if payload.ref_type != "tag" or sender(headers, FAMILY) != "Gogs":
        return Ignored("create", "what is created is deployed by its push event")
    return [payload.to("create", commit_or_none(payload.sha))]


def _deleted(payload: DeletePayload) -> Sequence[Push] | Ignored:
    """Return what was deleted: nothing else tells of branches, nor of tags of Gogs. A deleted tag of Gitea or
    Forgejo is pushed as well, which says the same twice and requests nothing.
    """
    if payload.ref_type not in PREFIXES:
        return Ignored("delete", "only branches and tags deploy")
    return [payload.to("delete", None)]


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((headers[f"{mark}{name}"] for mark in FAMILY if f"{mark}{name}" in headers), "")


def _why_of_no_family(headers: Mapping[str, str]) -> str:
    if sender(headers, {"x-github-": "GitHub"}):
        return "it has headers of GitHub alone: use the provider of that forge"
    return "no X-Forgejo-Signature, X-Gitea-Signature or X-Gogs-Signature header: the webhook has no secret"

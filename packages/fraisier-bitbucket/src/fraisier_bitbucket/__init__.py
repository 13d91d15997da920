"""Pushes from Bitbucket Cloud and Bitbucket Data Center, which have little in common but their signature.

Sources: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/,
https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal

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
    hmac_signature,
    hookimpl,
    sender,
    verify_hmac,
)

SIGNATURE_PREFIX = "sha256="
CLOUD_PUSH = "repo:push"
DATA_CENTER_PUSH = "repo:refs_changed"
# "Test connection" of Data Center is unsigned although a secret is set, so nothing but this is taken for one.
TEST_EVENT = "diagnostics:ping"
TEST_BODY = b'{"test":true}'
MAX_TEST_BYTES = 64
OTHER_FORGES = {
    "x-forgejo-": "Forgejo",
    "x-gitea-": "Gitea",
    "x-gogs-": "Gogs",
    "x-github-": "GitHub",
    "x-gitlab-": "GitLab",
}


class CloudCommit(Payload):
    """The commit that a branch or tag points to, of annotated tags as well."""

    hash: PayloadCommit


class CloudRef(Payload):
    """A branch or tag before or after a push."""

    type: Literal["branch", "tag"]
    name: PayloadRefName
    target: CloudCommit

    @property
    def ref(self) -> str:
        """The full ref."""
        return f"{TAG_PREFIX if self.type == 'tag' else BRANCH_PREFIX}{self.name}"

    @property
    def commit(self) -> str | None:
        """The commit that it points to."""
        return commit_or_none(self.target.hash)


class CloudChange(Payload):
    """What became of one branch or tag: `old` is null if it was created, `new` if it was deleted."""

    old: CloudRef | None
    new: CloudRef | None


class CloudChanges(Payload):
    """All that was pushed at once; nothing, if more refs were pushed than Bitbucket tells of."""

    changes: list[CloudChange]


class CloudRepository(Payload):
    """The repository that was pushed to. Its addresses are not told, but follow from its name."""

    full_name: PayloadText


class CloudActor(Payload):
    """Who pushed; an access token has no nickname."""

    display_name: PayloadText
    nickname: PayloadText | None = None


class CloudPayload(Payload):
    """A `repo:push` event: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Push"""

    repository: CloudRepository
    actor: CloudActor
    push: CloudChanges

    def pushes(self) -> list[Push]:
        """Return each ref of the push."""
        name = self.repository.full_name
        urls = (f"https://bitbucket.org/{name}.git", f"git@bitbucket.org:{name}.git")
        changes = [(change, change.new or change.old) for change in self.push.changes]
        return [self._push(change, either.ref, urls) for change, either in changes if either]

    def _push(self, change: CloudChange, ref: str, urls: tuple[str, ...]) -> Push:
        return Push(
            event=CLOUD_PUSH,
            repository=self.repository.full_name,
            urls=urls,
            ref=ref,
            before=change.old.commit if change.old else None,
            after=change.new.commit if change.new else None,
            pusher=self.actor.nickname or self.actor.display_name,
        )


class Link(Payload):
    """An address of a repository."""

    href: PayloadText


class Links(Payload):
    """The addresses of a repository, which not every version sends."""

    clone: tuple[Link, ...] = ()


class Project(Payload):
    """The project of a repository, or `~USER` for a user's own."""

    key: PayloadText


class Repository(Payload):
    """The repository that was pushed to."""

    slug: PayloadText
    project: Project
    links: Links | None = None


class Actor(Payload):
    """Who pushed."""

    name: PayloadText


class Ref(Payload):
    """A branch or tag."""

    id: PayloadRef


class Change(Payload, rename="camel"):
    """What became of one ref; the hash of an annotated tag is the tag object."""

    ref: Ref
    from_hash: PayloadCommit
    to_hash: PayloadCommit


class Commit(Payload):
    """The newest commit of a push."""

    id: PayloadCommit


class DataCenterPayload(Payload, rename="camel"):
    """A `repo:refs_changed` event: https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html.
    There is one `toCommit` for the whole push, so it tells of a tag only if all refs point to the same.
    """

    repository: Repository
    actor: Actor
    changes: list[Change]
    to_commit: Commit | None = None

    def pushes(self) -> list[Push]:
        """Return each branch and tag of the push."""
        is_shared = len({each.to_hash for each in self.changes}) == 1
        return [
            self._push(change, self._after(change, is_shared=is_shared))
            for change in self.changes
            if change.ref.id.startswith((BRANCH_PREFIX, TAG_PREFIX))
        ]

    def _push(self, change: Change, after: str | None) -> Push:
        repository = self.repository
        return Push(
            event=DATA_CENTER_PUSH,
            repository=f"{repository.project.key}/{repository.slug}",
            urls=tuple(link.href for link in repository.links.clone) if repository.links else (),
            ref=change.ref.id,
            before=commit_or_none(change.from_hash),
            after=after,
            pusher=self.actor.name,
        )

    def _after(self, change: Change, *, is_shared: bool) -> str | None:
        after = commit_or_none(change.to_hash)
        if after and is_shared and self.to_commit and change.ref.id.startswith(TAG_PREFIX):
            return commit_or_none(self.to_commit.id)
        return after


@hookimpl
def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str]
) -> Verified | Unverified | Ignored:
    """Return the secret whose HMAC-SHA256 of the raw body is in `X-Hub-Signature`: `sha256=` and 64
    lower-case hexadecimal digits (https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/,
    https://confluence.atlassian.com/bitbucketserver/manage-webhooks-938025878.html). The test of Data Center
    is never signed: it counts only if it is exactly that, and it carries nothing.
    """
    if headers.get("x-event-key") == TEST_EVENT and "x-hub-signature" not in headers and _is_test(body):
        return Ignored(TEST_EVENT, "a test delivery, which Bitbucket does not sign")
    if other := sender(headers, OTHER_FORGES):
        return Unverified(f"it has headers of {other}: use the provider of that forge")
    if headers.get("x-hub-signature", "").startswith("sha1="):
        return Unverified("it is signed with SHA-1 (X-Hub-Signature), not with SHA-256")
    return verify_hmac(headers, "X-Hub-Signature", body, secrets, prefix=SIGNATURE_PREFIX)


def _is_test(body: bytes) -> bool:
    """Whether a body is that of a test, however it is spaced."""
    return len(body) <= MAX_TEST_BYTES and b"".join(body.split()) == TEST_BODY


@hookimpl
def normalize(headers: Mapping[str, str], body: bytes) -> Sequence[Push] | Ignored:
    """Return every branch and tag of a push. The event's name is not signed; another event's body that is
    called a push lacks fields and is malformed.
    """
    event = headers.get("x-event-key", "")
    if event == CLOUD_PUSH:
        pushes = CloudPayload.parse(body).pushes()
    elif event == DATA_CENTER_PUSH:
        pushes = DataCenterPayload.parse(body).pushes()
    elif event:
        return Ignored(event, "a test delivery" if event == TEST_EVENT else "only pushes deploy")
    else:
        raise MalformedPayloadError("the X-Event-Key header is missing")
    return pushes or Ignored(event, "it names no branch or tag")


@hookimpl
def delivery_id(headers: Mapping[str, str]) -> DeliveryId | None:
    """Return `X-Request-UUID` of Cloud, or `X-Request-Id` of Data Center, neither of which is signed. Cloud
    comes first, because many a proxy adds an `X-Request-Id` of its own.
    """
    value = headers.get("x-request-uuid") or headers.get("x-request-id")
    return DeliveryId(value, signed=False) if value else None


@hookimpl
def sample_delivery(secret: str) -> SampleDelivery:
    """Return a push of Data Center, which unlike one of Cloud may name a ref that is no branch or tag."""
    event = {
        "actor": {"name": "fraisier"},
        "repository": {"slug": "test", "project": {"key": "FRAISIER"}},
        "changes": [{"ref": {"id": SAMPLE_REF}, "fromHash": "0" * 40, "toHash": "0" * 40}],
    }
    body = json.dumps(event).encode()
    signature = hmac_signature(secret, body, SIGNATURE_PREFIX)
    return SampleDelivery({"x-event-key": DATA_CENTER_PUSH, "x-hub-signature": signature}, body)

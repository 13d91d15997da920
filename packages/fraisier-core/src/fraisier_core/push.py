"""What a provider makes of a delivery: plain frozen values, the same for every forge."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

BRANCH_PREFIX = "refs/heads/"
TAG_PREFIX = "refs/tags/"
SAMPLE_REF = "refs/fraisier/test"
"""What a sample delivery pushes: neither a branch nor a tag, so that no rule matches it."""
_REF_NAME = re.compile(
    r"(?!-|.*(?:\.\.|//|@\{|/\.|\.lock(?:/|\Z)|[./]\Z))"
    r"[^\x00-\x20\x7f~^:?*\[\\/.][^\x00-\x20\x7f~^:?*\[\\]{0,243}"
)


@dataclass(frozen=True, slots=True)
class Verified:
    """Proof that one of the configured secrets verifies a delivery.

    Args:
        secret: which of the configured secrets matched, counted from 0.
        signs_body: whether the body is covered (a plain token covers nothing).
        signed_sha256: the SHA-256 of what is signed, in hexadecimal, if that is not the body but what it
            carries, such as the field of a form: the same in another form is the same delivery.
    """

    secret: int
    signs_body: bool = True
    signed_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Unverified:
    """Why none of the configured secrets verifies a delivery.

    Args:
        reason: for the record and those who read it, never for the sender; it quotes no secret, and of what
            was sent only what is needed, such as how far a clock is off.
    """

    reason: str = "the signature or token does not verify"


@dataclass(frozen=True, slots=True)
class DeliveryId:
    """The forge's own id of a delivery.

    Args:
        value: the id; the same when the forge delivers again.
        signed: whether the signature covers it. An unsigned id can be changed by an attacker who replays a
            delivery, so the hash of the body then counts as well.
    """

    value: str
    signed: bool


@dataclass(frozen=True, slots=True)
class Push:
    """One ref that was pushed.

    Args:
        event: the forge's name of the event, such as `push` or `tag_push`.
        repository: full name, such as `acme/my-api`.
        urls: the addresses the forge offers for cloning; none if it sends none. They identify the repository
            and are never fetched from: what is fetched comes from the configuration alone.
        ref: the full ref, such as `refs/heads/main`.
        before: the commit it pointed to, None if it was created or the forge does not say.
        after: the commit it points to, None if it was deleted.
        pusher: who pushed, as the forge names them.
    """

    event: str
    repository: str
    urls: tuple[str, ...]
    ref: str
    before: str | None
    after: str | None
    pusher: str

    @property
    def is_tag(self) -> bool:
        """Whether the ref is a tag."""
        return self.ref.startswith(TAG_PREFIX)

    @property
    def name(self) -> str:
        """The branch or tag without its prefix."""
        return self.ref.removeprefix(BRANCH_PREFIX).removeprefix(TAG_PREFIX)


@dataclass(frozen=True, slots=True)
class Ignored:
    """A verified delivery that requests nothing, such as a ping.

    Args:
        event: the forge's name of the event.
        reason: why nothing is done, for the answer and the record.
    """

    event: str
    reason: str


@dataclass(frozen=True, slots=True)
class SampleDelivery:
    """A delivery as the forge would send it, which verifies and requests nothing.

    Args:
        headers: those that `verify` and `normalize` read, names in lower case; never shown, because one may
            carry the secret.
        body: the raw body.
    """

    headers: Mapping[str, str] = field(repr=False)
    body: bytes


def spoken_ref(ref: str) -> str:
    """Return a branch or tag as people say it, without its prefix; a tag says that it is one."""
    if ref.startswith(TAG_PREFIX):
        return f"tag {ref.removeprefix(TAG_PREFIX)}"
    return ref.removeprefix(BRANCH_PREFIX)


def is_ref_name(name: str) -> bool:
    """Whether git and forges take this for the name of a branch or tag, and nothing for an option."""
    return _REF_NAME.fullmatch(name) is not None


def commit_or_none(object_id: str) -> str | None:
    """Return `object_id`, or None if it is the zero id that stands for "no commit".

    Forges send 40 zeros, or 64 in repositories that use SHA-256.
    """
    return None if not object_id.strip("0") else object_id

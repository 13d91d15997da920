"""Deliveries as they are read: what was recorded of each, or why it was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fraisier_core.store.records import Deployment
    from fraisier_core.store.vocabulary import RecordedVerdict


class ReceivedDelivery(NamedTuple):
    """A delivery as it was recorded or refused; `ref` and `commit_sha` are of the first of its `refs`, which
    are counted. `duplicate_of` is the first delivery of the same, and of one that was accepted all the same,
    of the same body. A refused one has a `client`, the address that it came from, and no body.
    """

    id: str
    received_at: str
    provider: str
    event_type: str | None
    repository: str | None
    ref: str | None
    refs: int
    commit_sha: str | None
    pusher: str | None
    verdict: RecordedVerdict
    duplicate_of: str | None
    reasons: tuple[str, ...]
    client: str | None


class ReceivedRef(NamedTuple):
    """A ref of a delivery, counted from 1, and why each rule matched it or did not."""

    number: int
    ref: str
    commit_sha: str | None
    before_sha: str | None
    reasons: tuple[str, ...]


class DeliveryDetails(NamedTuple):
    """Everything that is recorded of a delivery, and the deployments that it requested, replays included."""

    delivery: ReceivedDelivery
    delivery_id: str | None = None
    urls: tuple[str, ...] = ()
    body_sha256: str | None = None
    body_kept: bool = False
    refs: tuple[ReceivedRef, ...] = ()
    deployments: tuple[Deployment, ...] = ()

"""Deliveries: ready to be stored, what became of them, and as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fraisier_core.errors import StoreError
from fraisier_core.push import Push

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fraisier_core.push import DeliveryId
    from fraisier_core.store.records import Deployment, Request
    from fraisier_core.store.vocabulary import RecordedVerdict, Status, Verdict


class DeliveredRef(NamedTuple):
    """A ref that a delivery pushed, what it requests, and why each rule matched or did not."""

    ref: str
    commit_sha: str | None
    before_sha: str | None
    reasons: tuple[str, ...] = ()
    requests: tuple[Request, ...] = ()


class Delivery(NamedTuple):
    """A verified delivery, ready to be stored; if nothing of it requests anything, it is recorded as ignored.

    `delivery_id` is the forge's, if it sends one; the hash of a body that the signature covers (`signs_body`)
    tells what repeats an earlier one, or `signed_sha256` if it covers what the body carries. `reasons` say
    why each rule matched or did not. `reasons`, `requests` and what follows are of the first ref, and
    `more_refs` are the others; all are of one repository, and `urls` are its addresses.
    """

    provider: str
    event_type: str
    delivery_id: DeliveryId | None
    signs_body: bool
    body: bytes
    received_at: str
    reasons: tuple[str, ...]
    requests: tuple[Request, ...] = ()
    repository: str | None = None
    ref: str | None = None
    commit_sha: str | None = None
    before_sha: str | None = None
    pusher: str | None = None
    urls: tuple[str, ...] = ()
    more_refs: tuple[DeliveredRef, ...] = ()
    signed_sha256: str | None = None

    @property
    def all_requests(self) -> tuple[Request, ...]:
        """What every ref requests, in the order of the refs."""
        if not self.more_refs:
            return self.requests
        return self.requests + tuple(request for each in self.more_refs for request in each.requests)


class Requested(NamedTuple):
    """A deployment that a delivery requested, its status, and in words the hold that it waits for."""

    id: str
    fraise_id: str
    environment: str
    status: Status
    hold: str | None = None


class Receipt(NamedTuple):
    """What became of a delivery; it is on disk. `conflict` means that the id was seen with another body. The
    webhook event and the deployments of a duplicate are those of the first delivery. `deployments` are in the
    order of the requests. Those of a delivery that `repeats` the signed body of an earlier webhook event are
    executed only if their refs may have returned to its commits.
    """

    verdict: Verdict
    event_id: str
    deployments: tuple[Requested, ...] = ()
    repeats: str | None = None

    def told(self, holds: Mapping[tuple[str, str], str]) -> Receipt:
        """Return it with the holds of environments, in words."""
        found = ((each, holds.get((each.fraise_id, each.environment))) for each in self.deployments)
        told = (each._replace(hold=hold) if each.status == "pending" else each for each, hold in found)
        return self._replace(deployments=tuple(told))


Receipts = list[Receipt | StoreError]


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

    @property
    def pushes(self) -> tuple[Push, ...]:
        """What it pushed, as routing reads it."""
        found = self.delivery
        where, who = (found.event_type or "", found.repository or "", self.urls), found.pusher or ""
        return tuple(Push(*where, each.ref, each.before_sha, each.commit_sha, who) for each in self.refs)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of all of its refs; of one that names none, why it requests nothing."""
        of_refs = (reason for each in self.refs for reason in each.reasons)
        return tuple(dict.fromkeys(of_refs)) or self.delivery.reasons

"""Accepting deliveries: the webhook event and its pending deployments, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import lz4.frame
import uuid_utils

from fraisier_core.errors import StoreError
from fraisier_core.push import BRANCH_PREFIX
from fraisier_core.store.received import Delivery, Receipt, Receipts, Requested
from fraisier_core.store.relational.deployments import Deployments, request_row
from fraisier_core.store.relational.dialect import (
    ConstraintError,
    InterruptedTransactionError,
    savepoint,
    transaction,
)
from fraisier_core.system.failpoints import failpoint

if TYPE_CHECKING:
    from fraisier_core.store.relational.dialect import Row

REMEMBERED = 256
ATTEMPTS = 2
"""To store a delivery by itself: the second finds what another process stored since the first looked."""
LARGE_BATCH_BYTES = 2_000_000
BYTES_OF_A_REF = 2_000
"""To store one more ref takes as long as to store so much more of a body."""


class Deliveries(Deployments):
    """The write side of webhooks. Failpoints: `before_commit` and `after_commit`."""

    def _accept_together(self, deliveries: Sequence[Delivery]) -> Receipts:
        """Store a batch as if each delivery were new, in one statement a table. If the database refuses that,
        because one came before or cannot be stored, store them one by one.
        """
        try:
            receipts = self._commit(self._store, deliveries)
        except (ConstraintError, UnicodeError):
            return self._accept_one_by_one(deliveries)
        failpoint("after_commit")
        return receipts

    def _accept_one_by_one(self, deliveries: Sequence[Delivery]) -> Receipts:
        """Store a batch in one transaction, of which what cannot be stored is no part."""
        receipts = self._commit(lambda each: list(map(self._accept_alone, each)), deliveries)
        failpoint("after_commit")
        return receipts

    @transaction
    def _commit(
        self, store: Callable[[Sequence[Delivery]], Receipts], deliveries: Sequence[Delivery]
    ) -> Receipts:
        receipts = self._told(store(deliveries))
        failpoint("before_commit")
        return receipts

    def _told(self, receipts: Receipts) -> Receipts:
        """Return receipts with the holds that what they requested waits for."""
        if self._one("any_hold") is None:
            return receipts
        holds = {(each.fraise_id, each.environment): each.text for each in self.holds()}
        return [each.told(holds) if isinstance(each, Receipt) else each for each in receipts]

    def _store(self, deliveries: Sequence[Delivery]) -> Receipts:
        events = [event_row(delivery) for delivery in deliveries]
        receipts: Receipts = [*self._record(events, deliveries)]
        self._connection.execute_many(self._sql["insert_payload"], events)
        return receipts

    def _record(
        self, events: Sequence[dict[str, Any]], deliveries: Sequence[Delivery], repeats: str | None = None
    ) -> list[Receipt]:
        """Write events with their refs and requests; those that repeat an earlier event are conditional."""
        receipts, requests = requested(events, deliveries, repeats)
        self._connection.execute_many(self._sql["insert_event"], events)
        self._write_more_refs(events, deliveries)
        self._connection.execute_many(self._sql["request"], requests)
        return [
            each._replace(deployments=self._deployments(each.event_id)) if delivery.more_refs else each
            for each, delivery in zip(receipts, deliveries, strict=True)
        ]

    def _deployments(self, event_id: str) -> tuple[Requested, ...]:
        """Return what an event requested; a later ref may have superseded an earlier one."""
        return tuple(self._records(Requested, "deployments_of_event", webhook_event_id=event_id))

    def _write_more_refs(self, events: Sequence[dict[str, Any]], deliveries: Sequence[Delivery]) -> None:
        rows = [
            each._asdict()
            | {"webhook_event_id": event["id"], "number": number, "reasons": _texts(each.reasons)}
            for event, delivery in zip(events, deliveries, strict=True)
            for number, each in enumerate(delivery.more_refs, 2)
        ]
        if rows:
            self._connection.execute_many(self._sql["insert_ref"], rows)

    def _accept_alone(self, delivery: Delivery, attempts: int = ATTEMPTS) -> Receipt | StoreError:
        try:
            with savepoint(self._connection):
                return self._repeated(delivery) or self._store([delivery])[0]
        except InterruptedTransactionError:
            raise
        except (UnicodeError, StoreError) as error:
            if attempts > 1 and isinstance(error, ConstraintError):
                return self._accept_alone(delivery, attempts - 1)
            return StoreError(f"this delivery cannot be stored: {error}")

    def _repeated(self, delivery: Delivery) -> Receipt | None:
        """Return the receipt of a delivery whose id or signed body came before, None if neither did."""
        event = event_row(delivery)
        if (first := self._one("same_delivery", **event)) is not None:
            return self._known(event, delivery, first)
        if (first := self._one("same_body", **event)) is None:
            return None
        event |= {"duplicate_of": first["id"], "body_key": None}
        return self._record([event], [delivery], repeats=first["id"])[0]

    def _known(self, event: dict[str, Any], delivery: Delivery, first: Row) -> Receipt:
        """Return the receipt of a delivery whose id is that of an earlier event."""
        if first["body_sha256"] != event["body_sha256"]:
            return Receipt("conflict", first["id"])
        event |= {"verdict": "duplicate", "duplicate_of": first["id"], "delivery_key": None, "body_key": None}
        self._connection.execute_many(self._sql["insert_event"], [event])
        self._write_more_refs([event], [delivery])
        return Receipt("duplicate", first["id"], self._deployments(first["id"]))

    @transaction
    def _refuse(self, provider: str, received_at: str, client: str, reason: str) -> None:
        self._write("insert_refused", **refused_row(provider, received_at, client, reason))


def are_large(deliveries: Sequence[Delivery]) -> bool:
    """Whether deliveries take so long to store that the event loop must go on meanwhile."""
    return (
        sum(len(each.body) + BYTES_OF_A_REF * len(each.more_refs) for each in deliveries) > LARGE_BATCH_BYTES
    )


def requested(
    events: Sequence[dict[str, Any]], deliveries: Sequence[Delivery], repeats: str | None = None
) -> tuple[list[Receipt], list[dict[str, Any]]]:
    """Return the receipts of deliveries once they are stored, and the rows of what they request.

    Args:
        events: the row of each delivery.
        deliveries: what was delivered.
        repeats: the id of the earlier event whose body they repeat.
    """
    receipts: list[Receipt] = []
    requests: list[dict[str, Any]] = []
    for event, delivery in zip(events, deliveries, strict=True):
        own = (each._replace(webhook_event_id=event["id"], repeats=repeats) for each in delivery.all_requests)
        rows = [request_row(request, delivery.received_at) for request in own]
        requests += rows
        places = ((row["deployment_id"], row["fraise_id"], row["environment"]) for row in rows)
        pending = tuple(Requested(*place, "pending") for place in places)
        receipts.append(Receipt(event["verdict"], event["id"], pending, repeats))
    return receipts, requests


def event_row(delivery: Delivery) -> dict[str, Any]:
    """Return the row of a delivery that is new, with a new id (UUID version 7, RFC 9562)."""
    digest = sha256(delivery.body).hexdigest()
    given, ref = delivery.delivery_id, delivery.ref or ""
    by_body = delivery.signs_body and not (given and given.signed)
    requests = delivery.all_requests
    return delivery._asdict() | {
        "id": str(uuid_utils.uuid7()),
        "delivery_id": given.value if given else None,
        "delivery_key": given.value if given and requests else None,
        "body_sha256": digest,
        "body_key": (delivery.signed_sha256 or digest) if by_body and requests else None,
        "branch": ref.removeprefix(BRANCH_PREFIX) if ref.startswith(BRANCH_PREFIX) else None,
        "verdict": "accepted" if requests else "ignored",
        "duplicate_of": None,
        "urls": _texts(delivery.urls),
        "reasons": _texts(delivery.reasons),
        "body": lz4.frame.compress(delivery.body),
    }


def refused_row(provider: str, received_at: str, client: str, reason: str) -> dict[str, str]:
    """Return the row of a delivery that was refused, with a new id."""
    row = {"id": str(uuid_utils.uuid7()), "provider": provider, "received_at": received_at}
    return row | {"client": client, "reason": reason}


@lru_cache(REMEMBERED)
def _texts(texts: tuple[str, ...]) -> str:
    """Return a list in JSON: nearly every push brings the same addresses and reasons."""
    return json.dumps(texts)

"""Accepting deliveries: the webhook event and its pending deployments, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import lz4.frame
import uuid_utils

from fraisier_core.errors import StoreError
from fraisier_core.push import BRANCH_PREFIX
from fraisier_core.store.records import Delivery, Receipt, Receipts, Requested
from fraisier_core.store.sqlite.connection import ConstraintError
from fraisier_core.store.sqlite.deployments import Deployments, request_row
from fraisier_core.system.failpoints import failpoint


class Deliveries(Deployments):
    """The write side of webhooks. Failpoints: `before_commit` and `after_commit`."""

    async def accept(self, deliveries: Sequence[Delivery]) -> Receipts:
        """Store a batch as if each delivery were new, in one statement a table. If the database refuses that,
        because one came before or cannot be stored, store them one by one. The event loop waits for the disk:
        whatever could be answered meanwhile waits for the same disk.
        """
        try:
            receipts = self._commit(self._store, deliveries)
        except (ConstraintError, UnicodeError):
            receipts = self._commit(lambda each: list(map(self._accept_alone, each)), deliveries)
        failpoint("after_commit")
        return receipts

    def _commit(
        self, store: Callable[[Sequence[Delivery]], Receipts], deliveries: Sequence[Delivery]
    ) -> Receipts:
        with self._connection.transaction():
            receipts = store(deliveries)
            failpoint("before_commit")
        return receipts

    def _store(self, deliveries: Sequence[Delivery]) -> Receipts:
        events = [_event_row(delivery) for delivery in deliveries]
        receipts: Receipts = []
        requests: list[dict[str, Any]] = []
        for event, delivery in zip(events, deliveries, strict=True):
            own = (each._replace(webhook_event_id=event["id"]) for each in delivery.requests)
            rows = [request_row(request, delivery.received_at) for request in own]
            requests += rows
            places = ((row["deployment_id"], row["fraise_id"], row["environment"]) for row in rows)
            requested = tuple(Requested(*place, "pending") for place in places)
            receipts.append(Receipt(event["verdict"], event["id"], requested))
        self._connection.execute_many(self._sql["insert_event"], events)
        self._connection.execute_many(self._sql["insert_payload"], events)
        self._connection.execute_many(self._sql["request"], requests)
        return receipts

    def _accept_alone(self, delivery: Delivery) -> Receipt | StoreError:
        try:
            with self._connection.savepoint():
                return self._repeated(delivery) or self._store([delivery])[0]
        except (UnicodeError, StoreError) as error:
            return StoreError(f"this delivery cannot be stored: {error}")

    def _repeated(self, delivery: Delivery) -> Receipt | None:
        """Return the receipt of a delivery that came before, None if this one is the first."""
        event = _event_row(delivery)
        first = self._one("same_delivery", **event) or self._one("same_body", **event)
        if first is None:
            return None
        if first["body_sha256"] != event["body_sha256"]:
            return Receipt("conflict", first["id"])
        event |= {"verdict": "duplicate", "duplicate_of": first["id"], "delivery_key": None, "body_key": None}
        self._write("insert_event", **event)
        requested = self._records(Requested, "deployments_of_event", webhook_event_id=first["id"])
        return Receipt("duplicate", first["id"], tuple(requested))

    async def refuse(self, provider: str, received_at: str, client: str, reason: str) -> None:
        with self._connection.transaction():
            self._write(
                "insert_refused", provider=provider, received_at=received_at, client=client, reason=reason
            )


def _event_row(delivery: Delivery) -> dict[str, Any]:
    digest = sha256(delivery.body).hexdigest()
    given, ref = delivery.delivery_id, delivery.ref or ""
    by_body = delivery.signs_body and not (given and given.signed)
    return delivery._asdict() | {
        "id": str(uuid_utils.uuid7()),
        "delivery_id": given.value if given else None,
        "delivery_key": given.value if given and delivery.requests else None,
        "body_sha256": digest,
        "body_key": digest if by_body and delivery.requests else None,
        "branch": ref.removeprefix(BRANCH_PREFIX) if ref.startswith(BRANCH_PREFIX) else None,
        "verdict": "accepted" if delivery.requests else "ignored",
        "duplicate_of": None,
        "reasons": json.dumps(delivery.reasons),
        "body": lz4.frame.compress(delivery.body),
    }

"""Accepting deliveries: the webhook event and its pending deployments, in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import uuid_utils

from fraisier_core.errors import StoreError
from fraisier_core.push import DeliveryId
from fraisier_core.store.database import Database, statements
from fraisier_core.store.requests import Request, request_row
from fraisier_core.system.failpoints import failpoint

Verdict = Literal["accepted", "ignored", "duplicate", "conflict"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A verified delivery, ready to be stored.

    Args:
        provider: the provider's name.
        event_type: the forge's name of the event.
        delivery_id: the forge's id, if it sends one.
        signs_body: whether the secret vouches for the body, so that its hash can tell a replay.
        body: the raw body.
        received_at: UTC.
        reasons: why each rule matched or did not.
        requests: the deployments it asks for; none: it is recorded as ignored.
        repository, branch, commit_sha, before_sha, pusher: of the (first) push.
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
    branch: str | None = None
    commit_sha: str | None = None
    before_sha: str | None = None
    pusher: str | None = None


@dataclass(frozen=True, slots=True)
class Requested:
    """A deployment that a delivery asked for.

    Args:
        id: the deployment's id.
        fraise: its fraise.
        environment: its environment.
        status: its status now.
    """

    id: str
    fraise: str
    environment: str
    status: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery; it is on disk.

    Args:
        verdict: `accepted`, `ignored`, `duplicate`, or `conflict` where the id was seen with another body.
        event_id: the id of its webhook event; of the first one where it is a duplicate.
        deployments: the deployments it requested; those of the first one where it is a duplicate.
    """

    verdict: Verdict
    event_id: str
    deployments: tuple[Requested, ...] = ()


Receipts = list[Receipt | StoreError]


class Deliveries:
    """The write side of webhooks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = statements("deliveries")
        self._request_sql = statements("deployments")["request"]

    def accept(self, deliveries: Sequence[Delivery]) -> Receipts:
        """Store a batch in one durable transaction and return what became of each, in order.

        First as if each were new, in one statement a table; where the database refuses that, because one came
        before or cannot be stored, one by one, so that none takes the others with it.

        Raises `StoreError` where nothing could be stored. Failpoints (see `faults`): `before_commit` and
        `after_commit`.
        """
        try:
            receipts = self._commit(self._store, deliveries)
        except (sqlite3.Error, UnicodeError):
            receipts = self._commit(self._store_each, deliveries)
        failpoint("after_commit")
        return receipts

    def _commit(
        self, store: Callable[[Sequence[Delivery]], Receipts], deliveries: Sequence[Delivery]
    ) -> Receipts:
        with self._database.transaction():
            receipts = store(deliveries)
            failpoint("before_commit")
        return receipts

    def _store_each(self, deliveries: Sequence[Delivery]) -> Receipts:
        return [self._accept_alone(delivery) for delivery in deliveries]

    def _store(self, deliveries: Sequence[Delivery]) -> Receipts:
        events = [_event_row(delivery) for delivery in deliveries]
        receipts: Receipts = []
        requests: list[dict[str, Any]] = []
        for event, delivery in zip(events, deliveries, strict=True):
            rows = [request_row(request, delivery.received_at, event["id"]) for request in delivery.requests]
            requests += rows
            receipts.append(Receipt(event["verdict"], event["id"], tuple(_requested(row) for row in rows)))
        self._database.execute_many(self._sql["insert_event"], events)
        self._database.execute_many(self._sql["insert_payload"], events)
        self._database.execute_many(self._request_sql, requests)
        return receipts

    def _accept_alone(self, delivery: Delivery) -> Receipt | StoreError:
        try:
            with self._database.savepoint():
                return self._repeated(delivery) or self._store([delivery])[0]
        except (sqlite3.Error, UnicodeError, StoreError) as error:
            return StoreError(f"this delivery cannot be stored: {error}")

    def _repeated(self, delivery: Delivery) -> Receipt | None:
        """Return the receipt of a delivery that came before, None where this one is the first."""
        event = _event_row(delivery)
        first = self._database.one(self._sql["same_delivery"], event) or self._database.one(
            self._sql["same_body"], event
        )
        if first is None:
            return None
        if first["body_sha256"] != event["body_sha256"]:
            return Receipt("conflict", first["id"])
        repeated = {
            "verdict": "duplicate",
            "duplicate_of": first["id"],
            "delivery_key": None,
            "body_key": None,
        }
        self._database.execute(self._sql["insert_event"], event | repeated)
        rows = self._database.all(self._sql["deployments_of_event"], {"webhook_event_id": first["id"]})
        found = (Requested(row["id"], row["fraise_id"], row["environment"], row["status"]) for row in rows)
        return Receipt("duplicate", first["id"], tuple(found))

    def refuse(self, provider: str, received_at: str, client: str, reason: str) -> None:
        """Remember a delivery that did not verify, without its body; only the newest thousand are kept."""
        row = {"provider": provider, "received_at": received_at, "client": client, "reason": reason}
        with self._database.transaction():
            self._database.execute(self._sql["insert_refused"], row)


def _requested(row: dict[str, Any]) -> Requested:
    return Requested(row["deployment_id"], row["fraise_id"], row["environment"], "pending")


def _event_row(delivery: Delivery) -> dict[str, Any]:
    digest = sha256(delivery.body).hexdigest()
    given = delivery.delivery_id
    by_body = delivery.signs_body and not (given and given.signed)
    return {
        "id": str(uuid_utils.uuid7()),
        "provider": delivery.provider,
        "event_type": delivery.event_type,
        "delivery_id": given.value if given else None,
        "delivery_key": given.value if given and delivery.requests else None,
        "body_sha256": digest,
        "body_key": digest if by_body and delivery.requests else None,
        "repository": delivery.repository,
        "branch": delivery.branch,
        "commit_sha": delivery.commit_sha,
        "before_sha": delivery.before_sha,
        "pusher": delivery.pusher,
        "received_at": delivery.received_at,
        "verdict": "accepted" if delivery.requests else "ignored",
        "duplicate_of": None,
        "reasons": json.dumps(delivery.reasons),
        "body": delivery.body,
    }

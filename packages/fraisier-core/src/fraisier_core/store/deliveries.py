"""Accepting deliveries: the webhook event and its pending deployments, in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal

import uuid_utils

from fraisier_core.errors import StoreError
from fraisier_core.push import DeliveryId
from fraisier_core.store.database import Database, statements
from fraisier_core.store.requests import Request, request_row

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


@dataclass(frozen=True, slots=True)
class _First:
    event_id: str
    body_sha256: str


class Deliveries:
    """The write side of webhooks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = statements("deliveries")

    def accept(self, deliveries: Sequence[Delivery]) -> list[Receipt | StoreError]:
        """Store a batch in one durable transaction and return what became of each, in order.

        One delivery that cannot be stored does not take the others with it.

        Raises `StoreError` where nothing could be stored.
        """
        try:
            with self._database.transaction():
                return list(_Batch(self._database, self._sql).store(deliveries))
        except sqlite3.Error:
            with self._database.transaction():
                return [self._accept_alone(delivery) for delivery in deliveries]

    def _accept_alone(self, delivery: Delivery) -> Receipt | StoreError:
        try:
            with self._database.savepoint():
                return _Batch(self._database, self._sql).store([delivery])[0]
        except (sqlite3.Error, StoreError) as error:
            return StoreError(f"this delivery cannot be stored: {error}")

    def refuse(self, provider: str, received_at: str, client: str, reason: str) -> None:
        """Remember a delivery that did not verify, without its body; only the newest thousand are kept."""
        row = {
            "provider": provider,
            "received_at": received_at,
            "client": client,
            "reason": reason,
        }
        with self._database.transaction():
            self._database.execute(self._sql["insert_refused"], row)


class _Batch:
    """The rows of one batch, gathered so that each table takes them in one go."""

    def __init__(self, database: Database, sql: Any) -> None:
        self._database = database
        self._sql = sql
        self._events: list[dict[str, Any]] = []
        self._payloads: list[dict[str, Any]] = []
        self._requests: list[dict[str, Any]] = []
        self._seen: dict[tuple[str, str, str], Receipt] = {}
        self._hashes: dict[str, str] = {}

    def store(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        receipts = [self._add(delivery) for delivery in deliveries]
        self._database.execute_many(self._sql["insert_event"], self._events)
        self._database.execute_many(self._sql["insert_payload"], self._payloads)
        self._database.execute_many(statements("deployments")["request"], self._requests)
        return receipts

    def _add(self, delivery: Delivery) -> Receipt:
        event = _event_row(delivery)
        if not delivery.requests:
            self._append(delivery, event | {"verdict": "ignored"})
            return Receipt("ignored", event["id"])
        if first := self._first(event):
            return self._repeated(delivery, event, first)
        self._append(delivery, event | {"verdict": "accepted"})
        receipt = Receipt("accepted", event["id"], self._request(delivery, event["id"]))
        self._remember(event, receipt)
        return receipt

    def _request(self, delivery: Delivery, event_id: str) -> tuple[Requested, ...]:
        requests = [replace(request, webhook_event_id=event_id) for request in delivery.requests]
        rows = [request_row(request, delivery.received_at) for request in requests]
        self._requests += rows
        return tuple(
            Requested(row["deployment_id"], row["fraise_id"], row["environment"], "pending") for row in rows
        )

    def _append(self, delivery: Delivery, event: dict[str, Any]) -> None:
        self._events.append(event)
        self._payloads.append({"id": event["id"], "body": delivery.body})

    def _remember(self, event: dict[str, Any], receipt: Receipt) -> None:
        self._hashes[receipt.event_id] = event["body_sha256"]
        for kind in ("delivery_key", "body_key"):
            if event[kind]:
                self._seen[kind, event["provider"], event[kind]] = receipt

    def _first(self, event: dict[str, Any]) -> _First | None:
        for kind, query in (("delivery_key", "same_delivery"), ("body_key", "same_body")):
            if event[kind] is None:
                continue
            if receipt := self._seen.get((kind, event["provider"], event[kind])):
                return _First(receipt.event_id, self._hashes[receipt.event_id])
            if row := self._database.one(self._sql[query], event):
                return _First(row["id"], row["body_sha256"])
        return None

    def _repeated(self, delivery: Delivery, event: dict[str, Any], first: _First) -> Receipt:
        if first.body_sha256 != event["body_sha256"]:
            return Receipt("conflict", first.event_id)
        repeated = {"delivery_key": None, "body_key": None, "duplicate_of": first.event_id}
        self._events.append(event | repeated | {"verdict": "duplicate"})
        return Receipt("duplicate", first.event_id, self._deployments(first.event_id))

    def _deployments(self, event_id: str) -> tuple[Requested, ...]:
        for receipt in self._seen.values():
            if receipt.event_id == event_id:
                return receipt.deployments
        rows = self._database.all(self._sql["deployments_of_event"], {"webhook_event_id": event_id})
        return tuple(Requested(row["id"], row["fraise_id"], row["environment"], row["status"]) for row in rows)


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
        "duplicate_of": None,
        "reasons": json.dumps(delivery.reasons),
    }

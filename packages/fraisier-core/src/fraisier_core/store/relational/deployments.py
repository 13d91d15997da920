"""The write side of deployments: requests, claims, and the events that are the only way to change one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import uuid_utils

from fraisier_core.errors import FencedError, HeldError
from fraisier_core.store.events import Event
from fraisier_core.store.holds import Hold
from fraisier_core.store.records import (
    Claimed,
    ConfiguredEnvironment,
    Deployment,
    Lease,
    PushedCommit,
    Request,
)
from fraisier_core.store.relational.dialect import transaction
from fraisier_core.store.relational.leases import Leases
from fraisier_core.store.vocabulary import ENDED, ENDS_ATTEMPT, KINDS
from fraisier_core.system.host import utc_now
from fraisier_core.system.processes import ProcessIdentity

_NO_ID = str(UUID(int=0))


class Deployments(Leases):
    """Requests, claims and events."""

    @transaction
    def configure(self, environments: Iterable[ConfiguredEnvironment]) -> None:
        rows = [
            each._asdict() | {"position": number, "kinds": _list(each.kinds)}
            for number, each in enumerate(environments)
        ]
        self._write("forget_fraises")
        self._write("forget_environments")
        self._connection.execute_many(self._sql["configure_fraise"], rows)
        self._connection.execute_many(self._sql["configure_environment"], rows)

    @transaction
    def request_all(self, requests: Sequence[Request]) -> list[str]:
        return [self._request_now(each) for each in requests]

    @transaction
    def request_and_claim(self, request: Request, holder: ProcessIdentity) -> tuple[str, Claimed | None]:
        deployment_id = self._request_now(request)
        if KINDS[request.kind].job and self.deployment(deployment_id).executor == "unit":
            return deployment_id, None
        return deployment_id, self._claim(holder, deployment_id)

    @transaction
    def request_cancel(self, deployment_id: str, requested_by: str) -> Deployment:
        self._lock_environment(deployment_id)
        if self.deployment(deployment_id).status not in ENDED:
            message = f"cancelled by {requested_by}"
            event = Event("cancel_requested", requested_by=requested_by, message=message)
            self._insert(Lease(0, deployment_id, self._host.name, 0), event)
        return self.deployment(deployment_id)

    def _lock_environment(self, deployment_id: str) -> None:
        """Wait for whoever changes the environment of a deployment, and keep others from it."""

    def prepare(self) -> None:
        unheld = Lease(0, _NO_ID, self._host.name, 0)
        self._all("deployment", id=unheld.deployment_id)
        self.steps(unheld.deployment_id)
        with suppress(FencedError):
            self.append(unheld, Event("step_started"))

    @transaction
    def append(
        self,
        lease: Lease,
        *events: Event,
        request: Request | None = None,
        follow_up: Request | None = None,
    ) -> None:
        self._append(lease, events)
        if follow_up is not None:
            self._request(follow_up)
        if request is not None and self._one("is_last", id=lease.deployment_id):
            self._request(request)

    @transaction
    def skip(self, lease: Lease, message: str, request: Request | None = None) -> None:
        self._lock_environment(lease.deployment_id)
        by = self._waiting(lease) or (self._request(request) if request else None)
        self._append(lease, [Event("skipped", superseded_by=by, message=message)])

    @transaction
    def supersede(self, lease: Lease, newer: str, message: str, request: Request | None = None) -> None:
        self._lock_environment(lease.deployment_id)
        by = self._waiting(lease) or (self._request(request) if request else newer)
        self._append(lease, [Event("superseded", superseded_by=by, message=message)])

    @transaction
    def requeue(self, lease: Lease) -> None:
        self._lock_environment(lease.deployment_id)
        waiting = self._waiting(lease, "superseding")
        event = Event("superseded", superseded_by=waiting) if waiting else Event("requeued")
        self._append(lease, [event])

    def _waiting(self, lease: Lease, query: str = "waiting_instead") -> str | None:
        waiting = self._one(query, **self.deployment(lease.deployment_id)._asdict())
        return str(waiting["id"]) if waiting else None

    @transaction
    def write_log(self, lease: Lease, step_number: int, text: str, dropped: int, limit: int) -> None:
        self._require_held(lease)
        row = lease._asdict() | {"step_number": step_number, "text": text, "dropped": dropped}
        (newest,) = self._all("append_log", **row, at=utc_now())
        row["newest"] = newest["sequence"]
        cut = self._one("log_cut", **row, limit=limit)
        if cut is not None and cut["sequence"] is not None:
            self._write("carry_dropped", **row, cut=cut["sequence"])
            self._write("trim_log", **row, cut=cut["sequence"])

    def cancellation(self, lease: Lease) -> str | None:
        row = self._one("cancellation", id=lease.deployment_id)
        return str(row["message"]) if row else None

    def previously_active(self, deployment_id: str) -> str | None:
        row = self._one("previously_active", id=deployment_id)
        return row["previous_release"] if row else None

    def releases_in_use(self, fraise_id: str, environment: str) -> set[str]:
        found = self._all("releases_in_use", fraise_id=fraise_id, environment=environment)
        return {str(row["release"]) for row in found}

    def has_succeeded(self, run: Deployment, release: str) -> bool:
        like = {"kind": run.kind, "release": release, "arguments": _arguments(run)}
        names = {"fraise_id": run.fraise_id, "environment": run.environment}
        return self._one("has_succeeded", **names, **like) is not None

    def pushed_commits(self, deployment: Deployment) -> list[PushedCommit]:
        return self._records(PushedCommit, "pushed_commits", **deployment._asdict())

    def may_have_returned(self, deployment: Deployment, commit: str) -> bool:
        facts = deployment._asdict() | {"deployed": commit}
        return self._one("requested_since", **facts) is None or self._one("left_since", **facts) is not None

    def _request_now(self, request: Request) -> str:
        """Request what nobody has requested before. Raises `HeldError` if a user may not while it is held."""
        if request.trigger == "manual" and not request.overrides_hold and (hold := self._hold_of(request)):
            raise HeldError(hold.refusal)
        return self._request(request)

    def _request(self, request: Request) -> str:
        row = request_row(request, utc_now()) | {"overridden_hold": self._overridden(request)}
        self._write("request", **row)
        return str(row["deployment_id"])

    def _overridden(self, request: Request) -> str | None:
        """Return the reason of the hold that a request overrides, if there is one."""
        hold = self._hold_of(request) if request.overrides_hold else None
        return hold.reason if hold else None

    def _hold_of(self, request: Request) -> Hold | None:
        """Return what holds the environment of a request that deploys a commit."""
        is_held = KINDS[request.kind].source == "commit"
        return next(iter(self.holds(request.fraise_id, request.environment)), None) if is_held else None

    def _claim(self, holder: ProcessIdentity, deployment_id: str | None) -> Claimed | None:
        """Claim a deployment inside the caller's transaction."""
        raise NotImplementedError

    def _append(self, lease: Lease, events: Sequence[Event]) -> None:
        for event in events:
            self._insert(lease, event)
        if events[-1].event in ENDS_ATTEMPT:
            self._write("drop_lease", token=lease.token)

    def _insert(self, lease: Lease, event: Event) -> None:
        row = event._asdict() | lease._asdict() | {"token": lease.token or None}
        self._write("append", **row, at=utc_now())


def request_row(request: Request, at: str) -> dict[str, Any]:
    """Return the row of the `requested` event, with a new deployment id (UUID version 7, RFC 9562)."""
    return request._asdict() | {
        "deployment_id": str(uuid_utils.uuid7()),
        "at": at,
        "pathspecs": json.dumps(request.pathspecs) if request.pathspecs else None,
        "arguments": _arguments(request),
        "overridden_hold": None,
    }


def _list(texts: Sequence[str] | None) -> str | None:
    return None if texts is None else json.dumps(texts)


def _arguments(of: Request | Deployment) -> str | None:
    return json.dumps(of.arguments) if of.arguments else None

"""The read side: what the views say, as plain values."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from fraisier_core.store.events import Change, DeploymentEvent, ObserverProblem, Untold
from fraisier_core.store.holds import Hold
from fraisier_core.store.ids import PART, WHOLE, only, unknown_id
from fraisier_core.store.received import DeliveryDetails, ReceivedDelivery, ReceivedRef
from fraisier_core.store.records import (
    BranchHead,
    Deployment,
    EnvironmentStatus,
    HealthyRelease,
    LogChunk,
    Request,
    Step,
)
from fraisier_core.store.relational.dialect import statements
from fraisier_core.store.tokens import AuditEvent, Token
from fraisier_core.store.vocabulary import RecordedVerdict
from fraisier_core.system.timing import HEARTBEAT_TIMEOUT

if TYPE_CHECKING:
    from fraisier_core.store.relational.dialect import Connection, Row
    from fraisier_core.system.host import Host

T = TypeVar("T")
SHARED = Path(__file__).parent / "sql"
"""The statements that every database understands alike."""
_BY_PART = {
    "deployment": ("deployments_by_prefix", "deployments_by_pattern"),
    "delivery": ("deliveries_by_prefix", "deliveries_by_pattern"),
}


class RelationalReader:
    """Implements `protocol.Reader`; `dialect` is the folder of the database's statements."""

    dialect: ClassVar[Path]
    files: ClassVar[tuple[str, ...]] = ("reader", "branch_heads")

    def __init__(self, connection: Connection, host: Host) -> None:
        self._connection = connection
        self._host = host
        own = {name: sql for file in self.files for name, sql in statements(self.dialect, file).items()}
        self._sql = {**statements(SHARED, "tokens"), **own}

    def close(self) -> None:
        self._connection.close()

    def status(self, fraise_id: str | None = None, environment: str | None = None) -> list[EnvironmentStatus]:
        return self._records(EnvironmentStatus, "status", fraise_id=fraise_id, environment=environment)

    def deployments(
        self, fraise_id: str | None = None, environment: str | None = None, limit: int = 20
    ) -> list[Deployment]:
        query = "history_of_environment" if environment else "history_of_fraise" if fraise_id else "history"
        return self._records(Deployment, query, fraise_id=fraise_id, environment=environment, limit=limit)

    def newest_runs(self, fraise_id: str | None = None, environment: str | None = None) -> list[Deployment]:
        return self._records(Deployment, "newest_runs", fraise_id=fraise_id, environment=environment)

    def pushes_ahead(self, fraise_id: str | None = None, environment: str | None = None) -> list[Deployment]:
        return self._records(Deployment, "pushes_ahead", fraise_id=fraise_id, environment=environment)

    def observer_problems(self) -> list[ObserverProblem]:
        return self._records(ObserverProblem, "observer_problems")

    def history(self, deployment: Deployment, limit: int) -> list[Deployment]:
        return self._records(Deployment, "history_of_kind", **deployment._asdict() | {"limit": limit})

    def previous(self, deployment: Deployment) -> Deployment | None:
        return next(iter(self._records(Deployment, "previous_of_kind", **deployment._asdict())), None)

    def find(self, id_part: str) -> str:
        return self._found(id_part, "deployment")

    def _found(self, id_part: str, what: str) -> str:
        part = id_part.strip().lower()
        found: Sequence[Row] = ()
        if PART.fullmatch(part):
            prefix, pattern = _BY_PART[what]
            found = (
                self._all(prefix, prefix=part, after=part + "~")
                or self._all(pattern, pattern=f"%{part}")
                or self._all(pattern, pattern=f"%{part}%")
            )
        return only(what, id_part, [str(row["id"]) for row in found])

    def deployment(self, deployment_id: str) -> Deployment:
        found = WHOLE.fullmatch(deployment_id) and self._records(Deployment, "deployment", id=deployment_id)
        if not found:
            raise unknown_id("deployment", deployment_id)
        return found[0]

    def steps(self, deployment_id: str) -> list[Step]:
        return self._records(Step, "steps", id=deployment_id)

    def log(self, deployment_id: str, after: int = 0) -> list[LogChunk]:
        return self._records(LogChunk, "log", id=deployment_id, after=after)

    def untold(self, deployment_id: str) -> list[Untold]:
        return self._records(Untold, "untold", id=deployment_id)

    def events(
        self, after: int = 0, limit: int = 1000, deployment_id: str | None = None
    ) -> list[DeploymentEvent]:
        query = "events_of_deployment" if deployment_id else "events"
        return self._records(DeploymentEvent, query, after=after, limit=limit, deployment_id=deployment_id)

    def changes(self, after: int = 0, limit: int = 1000) -> list[Change]:
        return self._records(Change, "changes", after=after, limit=limit)

    def position(self) -> int:
        (row,) = self._all("last_event")
        return int(row["sequence"])

    def requested_for(self, deployment_id: str) -> list[Deployment]:
        return self._records(Deployment, "requested_for", id=deployment_id)

    def output_after(self, deployment_id: str, after: int, limit: int = 1000) -> list[int]:
        found = self._all("output_after", deployment_id=deployment_id, after=after, limit=limit)
        return [row["sequence"] for row in found]

    def running(self, fraise_id: str, environment: str, lane: str | None) -> str | None:
        row = self._one("running", fraise_id=fraise_id, environment=environment, lane=lane)
        return str(row["id"]) if row else None

    def awaited(self, deployment: Deployment) -> str | None:
        row = self._one("awaited", id=deployment.id)
        return str(row["id"]) if row and row["id"] else None

    def holds(self, fraise_id: str | None = None, environment: str | None = None) -> list[Hold]:
        return self._records(Hold, "holds", fraise_id=fraise_id, environment=environment)

    def serving(self, fraise_id: str, environment: str) -> HealthyRelease | None:
        row = self._one("serving", fraise_id=fraise_id, environment=environment, host=self._host.name)
        known = row and row["release"] is not None
        return HealthyRelease(row["release"], row["commit_sha"]) if row and known else None

    def healthy_releases(self, fraise_id: str, environment: str) -> list[HealthyRelease]:
        return self._records(HealthyRelease, "healthy_releases", fraise_id=fraise_id, environment=environment)

    def deliveries(self, limit: int = 20, verdict: RecordedVerdict | None = None) -> list[ReceivedDelivery]:
        return self._records(ReceivedDelivery, "deliveries", limit=limit, verdict=verdict)

    def find_delivery(self, id_part: str) -> str:
        return self._found(id_part, "delivery")

    def delivery(self, delivery_id: str) -> DeliveryDetails:
        found = WHOLE.fullmatch(delivery_id) and self._records(ReceivedDelivery, "delivery", id=delivery_id)
        if not found:
            raise unknown_id("delivery", delivery_id)
        return self.details(found)[0]

    def details(self, deliveries: Sequence[ReceivedDelivery]) -> list[DeliveryDetails]:
        ids = json.dumps([each.id for each in deliveries])
        facts = {row["id"]: row for row in self._all("delivered", ids=ids)}
        refs = self._by_delivery(ReceivedRef, "delivered_refs", ids)
        deployments = self._by_delivery(Deployment, "deployments_of_deliveries", ids)
        return [
            _details(each, facts.get(each.id), refs.get(each.id, []), deployments.get(each.id, []))
            for each in deliveries
        ]

    def newer_than(self, delivery_id: str, request: Request) -> str | None:
        row = self._one("newer_than", delivery_id=delivery_id, **request._asdict())
        return str(row["id"]) if row else None

    def last_of_refs(self, fraise_id: str, environment: str) -> dict[str, Deployment]:
        found = self._records(Deployment, "last_of_refs", fraise_id=fraise_id, environment=environment)
        return {each.ref: each for each in found if each.ref is not None}

    def last_of_commits(
        self, fraise_id: str, environment: str, commits: Collection[str]
    ) -> dict[str, Deployment]:
        where = {"fraise_id": fraise_id, "environment": environment}
        found = self._records(Deployment, "last_of_commits", **where, commits=json.dumps(list(commits)))
        return {each.commit_sha: each for each in found if each.commit_sha is not None}

    def branch_heads(self, fraise_id: str, environment: str) -> list[BranchHead]:
        return self._records(BranchHead, "branch_heads", fraise_id=fraise_id, environment=environment)

    def tokens(self) -> list[Token]:
        return self._records(Token, "tokens")

    def token(self, prefix: str) -> Token | None:
        return next(iter(self._records(Token, "token_by_prefix", prefix=prefix)), None)

    def audit_events(self, limit: int) -> list[AuditEvent]:
        return self._records(AuditEvent, "audit_events", limit=limit)

    def live_workers(self) -> int:
        (row,) = self._all("live_workers", boot_id=self._host.boot_id, **self._within(HEARTBEAT_TIMEOUT))
        return int(row["live"])

    def answer(self, sql: str, parameters: Mapping[str, Any]) -> str | None:
        row = next(iter(self._connection.all(sql, parameters)), None)
        return None if row is None or row["answer"] is None else str(row["answer"])

    def interrupt(self) -> None:
        self._connection.interrupt()

    def _within(self, seconds: float) -> dict[str, float]:
        """Return a span of time, and the clock of this boot for a database that has none."""
        return {"seconds": seconds, "now": self._host.seconds()}

    def _all(self, query: str, **parameters: Any) -> Sequence[Row]:
        return self._connection.all(self._sql[query], parameters)

    def _one(self, query: str, **parameters: Any) -> Row | None:
        return next(iter(self._all(query, **parameters)), None)

    def _records(self, kind: type[T], query: str, /, **parameters: Any) -> list[T]:
        return [record(kind, row) for row in self._all(query, **parameters)]

    def _by_delivery(self, kind: type[T], query: str, ids: str) -> dict[str, list[T]]:
        found: dict[str, list[T]] = {}
        for row in self._all(query, ids=ids):
            found.setdefault(row["webhook_event_id"], []).append(record(kind, row))
        return found


def _details(
    found: ReceivedDelivery, facts: Row | None, refs: list[ReceivedRef], deployments: list[Deployment]
) -> DeliveryDetails:
    if facts is None:  # it was refused
        return DeliveryDetails(found)
    return DeliveryDetails(
        found,
        facts["delivery_id"],
        _value("tuple", facts["urls"]),
        facts["body_sha256"],
        bool(facts["body_kept"]),
        tuple(refs),
        tuple(deployments),
    )


def record(kind: type[T], row: Row) -> T:
    """Return a row as a record whose fields are named as its columns."""
    return kind(*(_value(field.__forward_arg__, row[name]) for name, field in kind.__annotations__.items()))


def _value(annotation: str, value: Any) -> Any:
    if annotation == "bool":
        return bool(value)
    if annotation.startswith("tuple[tuple"):
        return tuple(map(tuple, json.loads(value or "[]")))
    return tuple(json.loads(value or "[]")) if annotation.startswith("tuple") else value

"""The read side: what the views say, as plain values."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from fraisier_core.errors import UnknownNameError
from fraisier_core.store.database import Database, Row, statements

T = TypeVar("T")
_ID_PART = re.compile(r"[0-9a-f-]{1,36}")


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """A row of `v_fraise_status`: the last deployment of note, and what serves.

    `status` is None where nothing was ever deployed; `serving_unknown` says that it cannot be told.
    """

    fraise_id: str
    environment: str
    type: str
    description: str | None
    name: str | None
    status: str | None
    deployment_id: str | None
    kind: str | None
    commit_sha: str | None
    branch: str | None
    started_at: str | None
    completed_at: str | None
    duration: float | None
    error_message: str | None
    serving_release: str | None
    serving_commit_sha: str | None
    last_deployed: str | None
    serving_unknown: bool
    pending: bool


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """A row of `v_deployment_history`; durations in seconds, times in UTC."""

    id: str
    fraise_id: str
    environment: str
    kind: str
    status: str
    requested_at: str
    started_at: str | None
    completed_at: str | None
    duration: float | None
    error_message: str | None
    commit_sha: str | None
    branch: str | None
    trigger: str
    requested_by: str | None
    webhook_event_id: str | None
    release: str | None
    previous_release: str | None
    superseded_by: str | None
    attempt: int
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step of a deployment; `number` counts within its attempt."""

    attempt: int
    number: int
    name: str
    status: str
    started_at: str
    completed_at: str | None
    duration: float | None
    message: str | None


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Some output of a step; `dropped` counts the bytes that were left out before it."""

    sequence: int
    attempt: int
    step_number: int
    at: str
    text: str
    dropped: int


class History:
    """What happened and what serves."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = statements("history")

    def status(self, fraise: str | None = None, environment: str | None = None) -> list[EnvironmentStatus]:
        """Return the status of every environment, of a fraise's, or of one."""
        rows = self._all("status", fraise_id=fraise, environment=environment)
        return [_record(EnvironmentStatus, row) for row in rows]

    def deployments(
        self, fraise: str | None = None, environment: str | None = None, limit: int = 20
    ) -> list[DeploymentRecord]:
        """Return the newest deployments first, at most `limit`."""
        query = "history_of_environment" if environment else "history_of_fraise" if fraise else "history"
        rows = self._all(query, fraise_id=fraise, environment=environment, limit=limit)
        return [_record(DeploymentRecord, row) for row in rows]

    def find(self, id_part: str) -> str:
        """Return the id that starts or ends with `id_part`. Raises `UnknownNameError` unless there is one."""
        found = []
        if _ID_PART.fullmatch(id_part):
            prefix = self._all("deployments_by_prefix", prefix=id_part, after=id_part + "~")
            found = prefix or self._all("deployments_by_suffix", suffix=f"%{id_part}")
        if not found:
            raise UnknownNameError(f"there is no deployment {id_part!r}: `fraisier history` lists them")
        if len(found) > 1:
            raise UnknownNameError(f"more than one deployment is called {id_part!r}: give more of the id")
        return str(found[0]["id"])

    def deployment(self, deployment_id: str) -> DeploymentRecord:
        """Return one deployment. Raises `UnknownNameError`."""
        row = self._database.one(self._sql["deployment"], {"id": deployment_id})
        if row is None:
            raise UnknownNameError(f"there is no deployment {deployment_id!r}: `fraisier history` lists them")
        return _record(DeploymentRecord, row)

    def steps(self, deployment_id: str) -> list[StepRecord]:
        """Return its steps in the order they started."""
        return [_record(StepRecord, row) for row in self._all("steps", id=deployment_id)]

    def log(self, deployment_id: str, after: int = 0) -> list[LogChunk]:
        """Return the output kept of its steps, in order; only what came after chunk `after`."""
        return [_record(LogChunk, row) for row in self._all("log", id=deployment_id, after=after)]

    def running(self, fraise: str, environment: str) -> str | None:
        """Return the id of the deployment that runs there now, if one does."""
        rows = self._all("running", fraise_id=fraise, environment=environment)
        return str(rows[0]["id"]) if rows else None

    def _all(self, query: str, **parameters: Any) -> list[Row]:
        return self._database.all(self._sql[query], parameters)


def _record(kind: type[T], row: Row) -> T:
    values = {
        field.name: bool(row[field.name]) if field.type == "bool" else row[field.name]
        for field in fields(kind)  # type: ignore[arg-type]
    }
    return kind(**values)

"""What the store keeps of the events of deployments, and how far each observer has been told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fraisier_core.store.vocabulary import EventName, StepStatus


class Event(NamedTuple):
    """A change of a deployment to be appended; a column that does not belong to it stays None."""

    event: EventName
    requested_by: str | None = None
    commit_sha: str | None = None
    superseded_by: str | None = None
    release: str | None = None
    previous_release: str | None = None
    previous_commit_sha: str | None = None
    step: str | None = None
    step_number: int | None = None
    step_status: StepStatus | None = None
    repeatable: bool | None = None
    duration: float | None = None
    message: str | None = None
    stored_name: str | None = None
    stored_size: int | None = None
    stored_sha256: str | None = None
    stored_at: str | None = None


class DeploymentEvent(NamedTuple):
    """A change of a deployment as it was recorded; `sequence` grows with each event of the store."""

    sequence: int
    deployment_id: str
    number: int
    event: EventName
    at: str
    attempt: int | None
    commit_sha: str | None
    superseded_by: str | None
    release: str | None
    step: str | None
    step_number: int | None
    step_status: StepStatus | None
    duration: float | None
    message: str | None


class Change(NamedTuple):
    """A change of a deployment's status; `position` is the sequence of the event that changed it."""

    position: int
    deployment_id: str
    fraise_id: str
    environment: str


class Forgotten(NamedTuple):
    """How many rows were deleted, and the sequence of the last that was looked at, 0 if none comes after."""

    rows: int
    last: int


class Observed(NamedTuple):
    """The last event that an observer has seen, how often the next one has failed, and the last problem of
    the observer, and when that was.
    """

    sequence: int
    attempts: int = 0
    problem: str | None = None
    problem_at: str | None = None


class ObserverProblem(NamedTuple):
    """The last problem of an observer, and when that was."""

    name: str
    problem: str
    problem_at: str


class Untold(NamedTuple):
    """What an observer could not do last about a deployment, of which event it had been told, and when."""

    observer: str
    event: EventName
    at: str
    problem: str

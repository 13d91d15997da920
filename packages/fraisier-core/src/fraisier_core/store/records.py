"""What the store takes and returns, named as the columns are: tuples, which load faster than dataclasses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fraisier_core.push import spoken_ref
from fraisier_core.store.vocabulary import (
    KINDS,
    Executor,
    Overlap,
    Status,
    StepStatus,
    Trigger,
)

if TYPE_CHECKING:
    from fraisier_core.system.processes import ProcessIdentity


class ConfiguredEnvironment(NamedTuple):
    """An environment that is configured, without secrets; `repository` is an identity, and `problem` says why
    the plugin of its type cannot be used. `kinds` are those of its type. `has_job`: it has a job, or nobody
    knows; `overlap`, `deploys_wait` and `executor` say what holds for the runs of that. If one of these is
    None, what is stored stays.
    """

    fraise_id: str
    type: str
    description: str | None
    repository: str | None
    environment: str
    name: str | None
    branch: str | None
    app_path: str | None = None
    problem: str | None = None
    has_job: bool = False
    overlap: Overlap | None = None
    deploys_wait: bool | None = None
    executor: Executor | None = None
    kinds: tuple[str, ...] | None = None


class Request(NamedTuple):
    """A deployment that is requested; what was decided about it travels with it.

    `kind` is a name in `KINDS`, `ref` a full ref. `commit_sha` is a full id, by hand also the beginning of
    one, which fetching completes; None takes the newest one of `ref`. If there are git `pathspecs`, a change
    must match one of their lists; `before_sha` is what `ref` pointed to before a push. `reason` says which
    rule matched, `release` what to roll back to, `recovers` which interrupted deployment is repeated. One
    that `repeats` an earlier webhook event may be a replay: it deploys only if `ref` is at its commit.
    `arguments` are those of a run, and `requested_for` is the deployment that requests this one. One that
    `overrides_hold` does not wait if its environment is held when it is requested.
    """

    fraise_id: str
    environment: str
    kind: str
    trigger: Trigger
    requested_by: str | None
    ref: str | None = None
    commit_sha: str | None = None
    before_sha: str | None = None
    pathspecs: tuple[tuple[str, ...], ...] = ()
    reason: str | None = None
    release: str | None = None
    recovers: str | None = None
    repeats: str | None = None
    arguments: tuple[str, ...] = ()
    requested_for: str | None = None
    webhook_event_id: str | None = None
    overrides_hold: bool = False


class Deployment(NamedTuple):
    """A row of `v_deployment_history`; durations in seconds, sizes in bytes, times in UTC. `overridden_hold`
    is the reason of the hold that it overrides; one that `obeys_holds` waits while its environment is held.
    `stored_at` says where the backup lies that this one stored, `stored_problem` what is left to do about it.
    """

    id: str
    fraise_id: str
    environment: str
    kind: str
    status: Status
    requested_at: str
    started_at: str | None
    completed_at: str | None
    duration: float | None
    error_message: str | None
    commit_sha: str | None
    ref: str | None
    before_sha: str | None
    pathspecs: tuple[tuple[str, ...], ...]
    reason: str | None
    trigger: Trigger
    requested_by: str | None
    webhook_event_id: str | None
    release: str | None
    previous_release: str | None
    superseded_by: str | None
    recovers: str | None
    repeats: str | None
    arguments: tuple[str, ...]
    requested_for: str | None
    lane: str | None
    executor: Executor | None
    overridden_hold: str | None
    obeys_holds: bool
    stored_name: str | None
    stored_size: int | None
    stored_sha256: str | None
    stored_at: str | None
    stored_problem: str | None
    attempt: int
    activation_started: bool
    rollback_started: bool
    unrepeatable: bool
    cancel_requested: bool

    @property
    def ref_name(self) -> str | None:
        """The branch or tag as people say it; a tag says that it is one."""
        return spoken_ref(self.ref) if self.ref else None

    @property
    def overrides_hold(self) -> bool:
        """Whether it was requested in spite of a hold."""
        return self.overridden_hold is not None

    def repeated(self) -> Request:
        """Return the request for the same, with all that was decided then and nothing that came of it."""
        decided = set(Request._fields) - ({"release", "webhook_event_id"} - {*KINDS[self.kind].arguments})
        return Request(**{name: getattr(self, name) for name in decided})


class EnvironmentStatus(NamedTuple):
    """A row of `v_fraise_status`: the last deployment of note, and the serving release. `status` is None if
    nothing was ever deployed; `serving_unknown` says that the serving release is unknown. `awaits_decision`
    is the id of the deployment that did not succeed, if nothing follows it by itself.
    """

    fraise_id: str
    environment: str
    type: str
    description: str | None
    name: str | None = None
    status: Status | None = None
    deployment_id: str | None = None
    kind: str | None = None
    commit_sha: str | None = None
    ref: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    duration: float | None = None
    error_message: str | None = None
    serving_release: str | None = None
    serving_commit_sha: str | None = None
    last_deployed: str | None = None
    serving_unknown: bool = False
    pending: bool = False
    awaits_decision: str | None = None


class Step(NamedTuple):
    """A step of a deployment; `number` counts within its attempt."""

    attempt: int
    number: int
    name: str
    status: StepStatus
    repeatable: bool
    started_at: str
    completed_at: str | None
    duration: float | None
    message: str | None


class LogChunk(NamedTuple):
    """Some output of a step; `dropped` counts the bytes that were left out before it."""

    sequence: int
    attempt: int
    step_number: int
    at: str
    text: str
    dropped: int


class BranchHead(NamedTuple):
    """The newest commit of a branch that an environment follows, as its repository had it at `seen_at`; None
    if it has no such branch, for the reason in `problem`. Without a `ref`, the repository could not be asked.
    """

    fraise_id: str
    environment: str
    ref: str
    head: str | None
    seen_at: str
    problem: str | None = None


class PushedCommit(NamedTuple):
    """A commit that another push to the same ref requested in the same environment."""

    deployment_id: str
    commit_sha: str
    before_sha: str | None


class HealthyRelease(NamedTuple):
    """A release that was deployed and healthy, and the release to which the last rollback from it led."""

    release: str
    commit_sha: str
    rolled_back_to: str | None = None


class Lease(NamedTuple):
    """The right to change one deployment. Every event carries the fencing token, and one that is out of date
    is refused; `attempt` counts from 1 how often the deployment was started.
    """

    token: int
    deployment_id: str
    host: str
    attempt: int


class Claimed(NamedTuple):
    """The lease of a deployment that was claimed, and the deployment as it was then."""

    lease: Lease
    deployment: Deployment


class HeldLease(NamedTuple):
    """A lease as another process finds it: the boot it was taken in, its holder, and that one's command."""

    lease: Lease
    boot_id: str
    holder: ProcessIdentity
    command: ProcessIdentity | None

"""The words of the record as a client sees them: each is stored as its value and served as its name."""

from enum import Enum

import fraiseql


@fraiseql.enum
class DeploymentStatus(Enum):
    """The status of a deployment: it waits, it runs, or how it ended."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"


@fraiseql.enum
class StepStatus(Enum):
    """The status of a step of a deployment."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


@fraiseql.enum
class Trigger(Enum):
    """What requested a deployment: a push, a user, or Fraisier itself."""

    WEBHOOK = "webhook"
    MANUAL = "manual"
    RECOVERY = "recovery"
    REPLAY = "replay"
    RECONCILE = "reconcile"
    SCHEDULE = "schedule"
    ON_DEPLOY = "on_deploy"
    ON_FAILURE = "on_failure"
    BEFORE_DEPLOY = "before_deploy"


@fraiseql.enum
class Verdict(Enum):
    """What became of a verified delivery."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"
    DUPLICATE = "duplicate"


@fraiseql.enum
class EventName(Enum):
    """What happened to a deployment."""

    REQUESTED = "requested"
    CANCEL_REQUESTED = "cancel_requested"
    CLAIMED = "claimed"
    REQUEUED = "requeued"
    STEP_STARTED = "step_started"
    STEP_FINISHED = "step_finished"
    RELEASE_CHOSEN = "release_chosen"
    ACTIVATION_STARTED = "activation_started"
    ROLLBACK_STARTED = "rollback_started"
    SERVING = "serving"
    STORED = "stored"
    SUCCESS = "success"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"

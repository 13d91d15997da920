"""The queries, mutations and subscriptions. Running this file exports all of it to `schema.json`."""

from pathlib import Path

import fraiseql
from enums import DeploymentStatus, Verdict
from fraiseql.scalars import ID
from models import (
    Deployment,
    DeploymentEvent,
    DeploymentStats,
    Fraise,
    FraiseStatus,
    Hold,
    OutputChunk,
    WebhookEvent,
)

SCHEMA = Path(__file__).parent.parent / "schema.json"
WHOLE = {"where": False, "order_by": False, "limit": False, "offset": False}
PAGED = WHOLE | {"limit": True, "offset": True}
# A limit within a view would come before what is asked of it.
FUNCTION = {"sql_source_kind": "function"}
ORDERED = FUNCTION | {"pagination_order": "none"}  # by the function
LOGGED = {"changelog": False}  # by triggers, as all changes are


@fraiseql.query(sql_source="fn_fraise", **FUNCTION)
def fraise(id: str) -> Fraise | None:
    """A fraise; null if it is not configured."""


@fraiseql.query(sql_source="v_fraises", auto_params=WHOLE)
def fraises() -> list[Fraise]:
    """All fraises, in the order of the configuration."""


@fraiseql.query(sql_source="fn_fraise_status", auto_params=WHOLE, **FUNCTION)
def fraise_status(fraise_id: str | None = None, environment: str | None = None) -> list[FraiseStatus]:
    """The serving release of each environment, and its last deployment of note."""


@fraiseql.query(sql_source="fn_deployment", **FUNCTION)
def deployment(id: ID) -> Deployment | None:
    """A deployment with its steps and their output; null if there is none of this id."""


@fraiseql.query(sql_source="fn_deployment_history", auto_params=PAGED, **ORDERED)
def deployment_history(  # noqa: PLR0917 - arguments of GraphQL are named
    fraise_id: str | None = None,
    environment: str | None = None,
    status: DeploymentStatus | None = None,
    kind: str | None = None,
    ref: str | None = None,
    commit_sha: str | None = None,
    id_part: str | None = None,
    cursor: ID | None = None,
) -> list[Deployment]:
    """The deployments, newest first: 50 without a limit, after the one that `cursor` names."""


@fraiseql.query(sql_source="fn_deployment_stats", auto_params=WHOLE, **FUNCTION)
def deployment_stats(fraise_id: str | None = None, environment: str | None = None) -> list[DeploymentStats]:
    """How often the deployments of each environment succeed, and how long they take."""


@fraiseql.query(sql_source="fn_webhook_events", auto_params=PAGED, **ORDERED)
def webhook_events(
    provider: str | None = None, verdict: Verdict | None = None, cursor: ID | None = None
) -> list[WebhookEvent]:
    """The verified deliveries, newest first: 50 without a limit, after the one that `cursor` names."""


@fraiseql.mutation(sql_source="fn_deploy", operation="CREATE", **LOGGED)
def deploy(
    fraise_id: str,
    environment: str,
    commit: str | None = None,
    branch: str | None = None,
    override_hold: bool | None = None,
) -> Deployment:
    """Request a deployment of a commit, else of the newest one of a branch; a worker executes it."""


@fraiseql.mutation(sql_source="fn_run", operation="CREATE", **LOGGED)
def run(fraise_id: str, environment: str, arguments: list[str] | None = None) -> Deployment:
    """Request a run of the job of an environment with the release that serves when it starts."""


@fraiseql.mutation(sql_source="fn_backup", operation="CREATE", **LOGGED)
def backup(fraise_id: str, environment: str) -> Deployment:
    """Request a backup of an environment; a worker or a unit executes it."""


@fraiseql.mutation(sql_source="fn_restore_test", operation="CREATE", **LOGGED)
def restore_test(fraise_id: str, environment: str) -> Deployment:
    """Request that a backup of an environment is restored as a test; a worker or a unit executes it."""


@fraiseql.mutation(sql_source="fn_cancel", operation="UPDATE", **LOGGED)
def cancel(id: ID) -> Deployment:
    """Request that a deployment is cancelled; one that waits is cancelled at once."""


@fraiseql.mutation(sql_source="fn_hold", operation="CREATE", **LOGGED)
def hold(fraise_id: str, reason: str, environment: str | None = None, until: str | None = None) -> Hold:
    """Keep what is pushed waiting, until a time such as 2026-01-31T12:00:00Z or until it is resumed."""


@fraiseql.mutation(sql_source="fn_resume", operation="UPDATE", **LOGGED)
def resume(fraise_id: str, environment: str | None = None) -> Hold:
    """Let what was pushed be deployed again; return the newest hold that this ends."""


@fraiseql.mutation(sql_source="fn_rollback", operation="CREATE", **LOGGED)
def rollback(fraise_id: str, environment: str, to: str | None = None) -> Deployment:
    """Request a rollback to the release that served before, or to another; a worker executes it."""


@fraiseql.subscription(
    filter={
        "conditions": [
            {"argument": "fraise_id", "path": "/fraise_id"},
            {"argument": "environment", "path": "/environment"},
        ]
    }
)
def deployment_status_changed(
    fraise_id: str | None = None, environment: str | None = None, since: int | None = None
) -> Deployment:
    """Each change of a status, of what is named or of all: from now on, or after a position."""


@fraiseql.subscription(filter={"conditions": [{"argument": "deployment_id", "path": "/deployment_id"}]})
def deployment_output(deployment_id: ID, after: int | None = None) -> OutputChunk:
    """What a deployment prints until its end: from now on, or after the sequence `after` of a chunk."""


@fraiseql.subscription(filter={"conditions": [{"argument": "deployment_id", "path": "/deployment_id"}]})
def deployment_events(deployment_id: ID, after: int | None = None) -> DeploymentEvent:
    """What happens to a deployment until its end: from now on, or after the sequence `after` of an event."""


if __name__ == "__main__":
    fraiseql.export_schema(str(SCHEMA))

"""The types: what the views of the store have, a field for each column.

Annotations are evaluated, not postponed: fraiseql exports a postponed forward reference as Python text.
"""

from typing import Annotated

import fraiseql
from enums import DeploymentStatus, EventName, StepStatus, Trigger, Verdict
from fraiseql.scalars import ID, DateTime


def says(description: str) -> object:
    """Return what describes a field."""
    return fraiseql.field(description=description)


Seconds = Annotated[float | None, says("How long it took, in seconds.")]


@fraiseql.type(embedded=True)
class Release:
    """A version of a fraise that serves, or did."""

    name: Annotated[str, says("The name of its folder.")]
    commit_sha: Annotated[str | None, says("The commit that it was built from.")]
    since: Annotated[DateTime | None, says("Since when it serves.")]


@fraiseql.type(embedded=True)
class Step:
    """A step of a deployment."""

    attempt: Annotated[int, says("The attempt that it belongs to, from 1.")]
    number: Annotated[int, says("Its place within the attempt, from 1.")]
    name: Annotated[str, says("What it does: fetch, build, restart.")]
    status: Annotated[StepStatus, says("Whether it is under way, or how it ended.")]
    repeatable: Annotated[bool, says("Whether it may be done again if its process dies.")]
    started_at: Annotated[DateTime, says("When it began.")]
    completed_at: Annotated[DateTime | None, says("When it ended.")]
    duration: Seconds
    message: Annotated[str | None, says("Why it failed, or what it has to say.")]


@fraiseql.type(embedded=True)
class OutputChunk:
    """Some output of a step, redacted."""

    deployment_id: Annotated[ID, says("The deployment.")]
    sequence: Annotated[int, says("Grows with each chunk of the store.")]
    attempt: Annotated[int, says("The attempt of its step.")]
    step_number: Annotated[int, says("The number of its step.")]
    at: Annotated[DateTime, says("When it was written.")]
    text: Annotated[str, says("What was printed.")]
    dropped: Annotated[int, says("How many bytes before it were left out.")]


@fraiseql.type(embedded=True)
class DeploymentEvent:
    """A change of a deployment, as it was recorded."""

    sequence: Annotated[int, says("Grows with each event of the store.")]
    number: Annotated[int, says("Counts the events of the deployment, from 1.")]
    event: Annotated[EventName, says("What happened.")]
    at: Annotated[DateTime, says("When it happened.")]
    attempt: Annotated[int | None, says("The attempt that it belongs to.")]
    commit_sha: Annotated[str | None, says("The commit that was found, or that serves.")]
    superseded_by: Annotated[ID | None, says("The deployment that replaces it.")]
    release: Annotated[str | None, says("The release that was chosen, or that serves.")]
    step: Annotated[str | None, says("The step that began.")]
    step_number: Annotated[int | None, says("The number of the step that began or ended.")]
    step_status: Annotated[StepStatus | None, says("How the step ended.")]
    duration: Seconds
    message: Annotated[str | None, says("Why.")]


@fraiseql.type(embedded=True)
class Untold:
    """What an observer could not do about a deployment."""

    observer: Annotated[str, says("The observer.")]
    event: Annotated[EventName, says("Of what it had been told.")]
    at: Annotated[DateTime, says("When.")]
    problem: Annotated[str, says("Why it could not.")]


@fraiseql.type(sql_source="v_deployment_holds")
class Hold:
    """What keeps pushes waiting: a user holds an environment, or a window of `freeze:` does."""

    id: Annotated[ID, says("A UUID.")]
    cause: Annotated[str, says("manual if a user holds it, freeze if a window does.")]
    fraise_id: Annotated[str, says("The fraise that is held.")]
    environment: Annotated[str | None, says("The environment that is held; null means all of the fraise.")]
    reason: Annotated[str, says("Why.")]
    held_by: Annotated[str | None, says("Who holds it; null if a window does.")]
    begins_at: Annotated[DateTime, says("Since when.")]
    ends_at: Annotated[DateTime | None, says("Until when; null if it is held until it is resumed.")]
    resumed_at: Annotated[DateTime | None, says("When it was resumed.")]
    resumed_by: Annotated[str | None, says("Who resumed it.")]


@fraiseql.type(sql_source="v_deployment_history")
class Deployment:
    """A deployment, a rollback, a run of a job or a backup, from its request to its end."""

    id: Annotated[ID, says("A UUID; ids sort by time.")]
    fraise_id: Annotated[str, says("What is deployed.")]
    environment: Annotated[str, says("Where it is deployed.")]
    kind: Annotated[str, says("What is done: deploy, rollback, run, backup, restore_test.")]
    status: Annotated[DeploymentStatus, says("Whether it waits or runs, or how it ended.")]
    requested_at: Annotated[DateTime, says("When it was requested.")]
    started_at: Annotated[DateTime | None, says("When a worker first claimed it.")]
    completed_at: Annotated[DateTime | None, says("When it ended.")]
    duration: Seconds
    error_message: Annotated[str | None, says("Why it did not succeed, and whether anything changed.")]
    commit_sha: Annotated[str | None, says("The commit that is deployed; not known before it is fetched.")]
    ref: Annotated[str | None, says("The full name of the branch or tag.")]
    before_sha: Annotated[str | None, says("What the ref pointed to before the push.")]
    pathspecs: Annotated[list[list[str]] | None, says("Git pathspecs; a change must match one of each list.")]
    reason: Annotated[str | None, says("Which rule matched the push.")]
    trigger: Annotated[Trigger, says("What requested it.")]
    requested_by: Annotated[str | None, says("Who requested it.")]
    webhook_event_id: Annotated[ID | None, says("The delivery that requested it.")]
    release: Annotated[str | None, says("The release that it makes, or rolls back to.")]
    previous_release: Annotated[str | None, says("The release that served before.")]
    previous_commit_sha: Annotated[str | None, says("The commit of the release that served before.")]
    superseded_by: Annotated[ID | None, says("The deployment that replaced it while it waited.")]
    recovers: Annotated[ID | None, says("The interrupted deployment whose commit it deploys again.")]
    repeats: Annotated[ID | None, says("The earlier delivery that its own one repeats.")]
    arguments: Annotated[list[str] | None, says("The arguments of a run.")]
    requested_for: Annotated[ID | None, says("The deployment or run that requested it.")]
    lane: Annotated[
        str | None, says("Of all in one lane of an environment, one runs at a time; null excludes nothing.")
    ]
    executor: Annotated[str | None, says("What executes a run: a worker, or a unit of systemd.")]
    overridden_hold: Annotated[str | None, says("The reason of the hold in spite of which it was requested.")]
    obeys_holds: Annotated[bool, says("Whether it waits while its environment is held.")]
    hold: Annotated[Hold | None, says("What it waits for, of several holds the one that ends last.")]
    stored_name: Annotated[str | None, says("The name of the backup that it stored, or restored as a test.")]
    stored_size: Annotated[float | None, says("Its size, in bytes.")]
    stored_sha256: Annotated[str | None, says("Its SHA-256.")]
    stored_at: Annotated[str | None, says("Where it lies, as people read it.")]
    stored_problem: Annotated[str | None, says("What could not be done besides, such as to prune a place.")]
    attempt: Annotated[int, says("How often it was started.")]
    activation_started: Annotated[bool, says("Whether what runs may have changed.")]
    rollback_started: Annotated[bool, says("Whether it failed and was rolled back.")]
    unrepeatable: Annotated[bool, says("Whether it did what must not be done twice.")]
    cancel_requested: Annotated[bool, says("Whether its cancellation was requested.")]
    position: Annotated[int, says("Grows with each change of a status in the store.")]
    sequence: Annotated[int, says("Grows with each deployment of the store.")]
    steps: Annotated[list[Step], says("Its steps, in the order in which they began.")]
    output: Annotated[list[OutputChunk], says("The newest output of its steps, oldest first.")]
    events: Annotated[list[DeploymentEvent], says("What happened to it, oldest first.")]
    untold: Annotated[list[Untold], says("What observers could not do about it, of each the last.")]


@fraiseql.type(embedded=True)
class BranchHead:
    """The newest commit of a branch that an environment follows, as its repository had it."""

    ref: Annotated[str, says("The full name of the branch; empty if the repository could not be asked.")]
    head: Annotated[str | None, says("The commit; null if there is no such branch.")]
    seen_at: Annotated[DateTime, says("When the repository was asked.")]
    problem: Annotated[str | None, says("Why there is none, or why the repository could not be asked.")]


@fraiseql.type(sql_source="v_fraise_status")
class FraiseStatus:
    """The serving release of an environment, and its last deployment of note."""

    fraise_id: Annotated[str, says("The fraise.")]
    environment: Annotated[str, says("The environment.")]
    type: Annotated[str, says("The type of the fraise.")]
    description: Annotated[str | None, says("The description of the fraise.")]
    name: Annotated[str | None, says("What the environment calls itself.")]
    status: Annotated[DeploymentStatus | None, says("That of the last deployment; null if there was none.")]
    deployment_id: Annotated[ID | None, says("The last deployment.")]
    kind: Annotated[str | None, says("Its kind.")]
    commit_sha: Annotated[str | None, says("Its commit.")]
    ref: Annotated[str | None, says("Its branch or tag.")]
    requested_at: Annotated[DateTime | None, says("When it was requested.")]
    started_at: Annotated[DateTime | None, says("When it was first started.")]
    completed_at: Annotated[DateTime | None, says("When it ended.")]
    duration: Seconds
    error_message: Annotated[str | None, says("Why it did not succeed.")]
    serving_release: Annotated[str | None, says("The name of the release that serves.")]
    serving_commit_sha: Annotated[str | None, says("The commit of the release that serves.")]
    last_deployed: Annotated[DateTime | None, says("Since when it serves.")]
    serving_unknown: Annotated[bool, says("Whether the serving release is unknown.")]
    pending: Annotated[bool, says("Whether a deployment waits.")]
    awaits_decision: Annotated[ID | None, says("The deployment that a user has to decide about.")]
    serving: Annotated[Release | None, says("The release that serves.")]
    branch_heads: Annotated[list[BranchHead], says("The branches that it follows, by name.")]
    hold: Annotated[Hold | None, says("What holds it, of several holds the one that ends last.")]


@fraiseql.type(embedded=True)
class Environment:
    """An environment of a fraise."""

    fraise_id: Annotated[str, says("The fraise.")]
    environment: Annotated[str, says("The environment.")]
    name: Annotated[str | None, says("What it calls itself.")]
    branch: Annotated[str | None, says("The branch that it deploys.")]
    app_path: Annotated[str | None, says("Where it lies on its host.")]
    status: Annotated[FraiseStatus, says("The serving release there, and its last deployment of note.")]


@fraiseql.type(sql_source="v_fraises")
class Fraise:
    """Something that is deployed, as fraises.yaml has it."""

    id: Annotated[str, says("Its key in fraises.yaml.")]
    name: Annotated[str, says("The same.")]
    type: Annotated[str, says("How it is deployed: api.")]
    description: Annotated[str | None, says("What it is.")]
    repository: Annotated[str | None, says("The identity of its repository: host and path.")]
    problem: Annotated[str | None, says("Why the plugin of its type cannot be used.")]
    environments: Annotated[list[Environment], says("Where it is deployed, as configured.")]
    deployment_history: Annotated[list[Deployment], says("Its newest 10 deployments, newest first.")]


@fraiseql.type(sql_source="v_deployment_stats")
class DeploymentStats:
    """How often the deployments of an environment succeed, and how long they take."""

    fraise_id: Annotated[str, says("The fraise.")]
    environment: Annotated[str, says("The environment.")]
    total: Annotated[int, says("How many ran to an end.")]
    success: Annotated[int, says("How many succeeded.")]
    failed: Annotated[int, says("How many failed.")]
    rolled_back: Annotated[int, says("How many were rolled back.")]
    success_rate: Annotated[float, says("The part that succeeded, from 0 to 1.")]
    mean_duration: Annotated[float, says("In seconds.")]
    median_duration: Annotated[float, says("In seconds.")]
    p95_duration: Annotated[float, says("That 95 of 100 do not exceed, in seconds.")]
    deployments_per_day: Annotated[float, says("Between the first and the last of them.")]


@fraiseql.type(sql_source="v_webhook_events")
class WebhookEvent:
    """A verified delivery of a forge, and what became of it."""

    id: Annotated[ID, says("A UUID; ids sort by time.")]
    provider: Annotated[str, says("Which provider verified it.")]
    event_type: Annotated[str, says("The event, in the words of the forge.")]
    delivery_id: Annotated[str | None, says("The id that the forge gave it.")]
    repository: Annotated[str | None, says("The repository, in the words of the forge.")]
    urls: Annotated[list[str], says("The addresses of the repository.")]
    ref: Annotated[str | None, says("The first ref that was pushed.")]
    branch: Annotated[str | None, says("Its name, if it is a branch.")]
    commit_sha: Annotated[str | None, says("What it points to.")]
    before_sha: Annotated[str | None, says("What it pointed to before.")]
    pusher: Annotated[str | None, says("Who pushed.")]
    received_at: Annotated[DateTime, says("When it arrived.")]
    verdict: Annotated[Verdict, says("What became of it.")]
    duplicate_of: Annotated[ID | None, says("The first delivery of the same.")]
    reasons: Annotated[list[str], says("Why each target was deployed or not.")]
    body_sha256: Annotated[str, says("The SHA-256 of its body.")]
    refs: Annotated[int, says("How many refs were pushed.")]
    sequence: Annotated[int, says("Grows with each delivery of the store.")]

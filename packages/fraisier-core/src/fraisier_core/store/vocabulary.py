"""The words of the record: statuses, kinds, triggers, events. Python and SQL use these and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Ending = Literal["success", "failed", "rolled_back", "cancelled", "interrupted", "superseded", "skipped"]
Status = Literal["pending", "running", Ending]
StepStatus = Literal["running", "success", "failed", "cancelled", "interrupted"]
EventName = Literal[
    "requested",
    "cancel_requested",
    "claimed",
    "requeued",
    "step_started",
    "step_finished",
    "release_chosen",
    "activation_started",
    "rollback_started",
    "serving",
    "stored",
    Ending,
]
ENDED: frozenset[Ending] = frozenset(get_args(Ending))
"""The statuses in which nothing more happens; each is the name of the event that sets it."""
ENDS_ATTEMPT: frozenset[EventName] = ENDED | {"requeued"}
"""The events that end an attempt; its lease is dropped with them."""

Trigger = Literal[
    "webhook",
    "manual",
    "recovery",
    "replay",
    "reconcile",
    "schedule",
    "on_deploy",
    "on_failure",
    "before_deploy",
]
"""Who asks. What a user requests (`manual`) is never stale, and its paths are never compared."""
Overlap = Literal["queue", "skip", "allow"]
"""What becomes of a run that is requested while another of the environment waits or runs."""
Executor = Literal["worker", "unit"]
"""Who executes the runs of an environment: a worker, or a unit of systemd that is started for each."""
SKIP_DEPLOY = "[skip deploy]"
"""What the message of a commit says that is not to be deployed if it is pushed (`skip_deploy:`)."""
Source = Literal["commit", "release", "serving", "nothing"]
"""Where a deployment's release comes from: fetched and built, named by the request, or it serves already;
`nothing` has none.
"""
Verdict = Literal["accepted", "ignored", "duplicate", "conflict"]
"""What became of a delivery; one that conflicts with an earlier one is not recorded."""
RecordedVerdict = Literal["accepted", "ignored", "duplicate", "refused"]
"""What the record says of a delivery; what was not verified, malformed or in conflict is refused."""

Level = Literal["read", "deploy"]
"""What a token allows; to deploy implies to read."""
HoldCause = Literal["manual", "freeze"]
"""What holds an environment: a user, or a window of `freeze:`."""
AuditedAction = Literal["token_created", "token_revoked", "not_admitted", "forbidden", "restore", "prune"]
"""What only the audit says; what was requested or cancelled, the deployment events say."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What all deployments of one kind have in common.

    `name` is its spelling in rows and messages, `hook` the deployer's hook that is called, `done` how
    messages call its success, `again` the command that requests it, an option of it and the column that the
    option takes, `arguments` what a request must name. Of all kinds in one `lane`, one at a time runs in an
    environment; None excludes nothing. A newer request of a kind that `supersedes` ends one that waits.
    `status` takes what is `shown` for the last deployment. A higher `priority` is claimed first. Who
    executes a `job`, and what one of the serving release excludes, is up to the settings of its environment.
    One that `stores` fails unless it records what.
    """

    name: str
    hook: str
    source: Source
    done: str
    again: tuple[str, str, str]
    lane: str | None = "release"
    supersedes: bool = True
    shown: bool = True
    job: bool = False
    stores: bool = False
    priority: int = 0
    arguments: tuple[str, ...] = ()

    @property
    def activates(self) -> bool:
        """Whether its release serves after success, which it is verified for."""
        return self.source in {"commit", "release"}


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="deploy",
            hook="deploy",
            source="commit",
            done="deployed",
            again=("deploy", "--commit", "commit_sha"),
        ),
        Kind(
            name="rollback",
            hook="rollback",
            source="release",
            done="rolled back",
            again=("rollback", "--to", "release"),
            priority=1,
            arguments=("release",),
        ),
        Kind(
            name="run",
            hook="run_job",
            source="serving",
            done="ran",
            again=("run", "--", "arguments"),
            lane="run",
            supersedes=False,
            shown=False,
            job=True,
        ),
        Kind(
            name="backup",
            hook="back_up",
            source="nothing",
            done="backed up",
            again=("backup", "--", "arguments"),
            lane="backup",
            supersedes=False,
            shown=False,
            job=True,
            stores=True,
        ),
        Kind(
            name="restore_test",
            hook="test_restore",
            source="nothing",
            done="restored as a test",
            again=("backups test", "--", "arguments"),
            lane="backup",
            supersedes=False,
            shown=False,
            job=True,
        ),
    )
}

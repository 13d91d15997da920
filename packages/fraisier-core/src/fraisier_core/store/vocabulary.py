"""The words of the record: statuses, kinds, triggers, events. Python and SQL use these and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PENDING, RUNNING, SUCCESS, FAILED = "pending", "running", "success", "failed"
ROLLED_BACK, CANCELLED, INTERRUPTED = "rolled_back", "cancelled", "interrupted"
SUPERSEDED, SKIPPED = "superseded", "skipped"

ENDED = frozenset({SUCCESS, FAILED, ROLLED_BACK, CANCELLED, INTERRUPTED, SUPERSEDED, SKIPPED})
"""The statuses in which nothing more happens; each is the name of the event that sets it."""
STATUSES = frozenset({PENDING, RUNNING}) | ENDED
STEP_STATUSES = frozenset({RUNNING, SUCCESS, FAILED, CANCELLED, INTERRUPTED})

EVENTS = ENDED | {
    "requested",
    "cancel_requested",
    "claimed",
    "requeued",
    "step_started",
    "step_finished",
    "release_created",
    "activation_started",
    "rollback_started",
    "serving",
}
ENDINGS = ENDED | {"requeued"}
"""The events that end an attempt; its lease is dropped with them."""

Verdict = Literal["accepted", "ignored", "duplicate", "conflict"]
VERDICTS = frozenset({"accepted", "ignored", "duplicate"})
"""What a recorded delivery can be; one that conflicts with an earlier one is refused."""

Trigger = Literal["webhook", "manual", "recovery"]
TRIGGERS = frozenset({"webhook", "manual", "recovery"})
MANUAL: Trigger = "manual"
"""What a user requests: it is never stale, and its paths are never compared."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What all deployments of one kind have in common.

    Args:
        name: as rows, events and messages spell it.
        hook: the deployer's hook that is called.
        source: where its release comes from: `commit` is fetched and made a release, `release` is named by
            the request.
        lane: of all kinds in one lane, one at a time runs in an environment; None excludes nothing.
        supersedes: whether a newer request of this kind supersedes one that waits.
        shown: whether `status` shows it as an environment's last deployment.
        priority: what waits with a higher one is claimed first.
        arguments: what a request must name.
    """

    name: str
    hook: str
    source: Literal["commit", "release"]
    lane: str | None
    supersedes: bool
    shown: bool
    priority: int
    arguments: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("deploy", "deploy", "commit", lane="release", supersedes=True, shown=True, priority=0),
        Kind(
            "rollback",
            "rollback",
            "release",
            lane="release",
            supersedes=True,
            shown=True,
            priority=1,
            arguments=("release",),
        ),
    )
}

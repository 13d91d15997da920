"""What follows an interruption: the commit is requested anew, once, or a user decides."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import dropwhile

from fraisier_core.store.records import Deployment, Request
from fraisier_core.store.vocabulary import ENDED, KINDS


def decide(interrupted: Deployment, later: Sequence[Deployment]) -> Request | str | None:
    """Return what follows an interruption: the commit is requested anew or, for the reason that is returned,
    a user decides. None if one of the deployments requested `later` follows; one that waits may turn out to
    be stale, and only then is there something to decide.
    """
    if any(each.status not in ENDED or each.recovers == interrupted.id for each in later):
        return None
    anew = interrupted.repeated()._replace(trigger="recovery", recovers=interrupted.id)
    return _reason(interrupted, later) or anew


def requested_anew(history: Sequence[Deployment]) -> Request | None:
    """Return the request that follows an interruption with only stale ones since; newest first."""
    earlier = list(dropwhile(lambda each: each.status in {"superseded", "skipped"}, history))
    if not earlier or earlier[0].status != "interrupted":
        return None
    decision = decide(earlier[0], history[: -len(earlier)])
    return decision if isinstance(decision, Request) else None


def commands(deployment: Deployment, *, serving_unknown: bool) -> tuple[str, ...]:
    """Return the commands of which a user runs one, if a deployment awaits a decision."""
    where = f"{deployment.fraise_id} {deployment.environment}"
    command, option, column = KINDS[deployment.kind].again
    value = getattr(deployment, column)
    if isinstance(value, tuple):
        value = shlex.join(value)
    again = f"fraisier {command} {where}" + (f" {option} {value}" if value else "")
    again += " --override-hold" if deployment.overrides_hold else ""
    back = f"fraisier rollback {where}"
    return (again, back) if serving_unknown and not again.startswith(back) else (again,)


def _reason(interrupted: Deployment, later: Sequence[Deployment]) -> str | None:
    acted = any(each.trigger == "manual" or each.status == "cancelled" for each in later)
    reasons = (
        (interrupted.activation_started, "activation had begun"),
        (interrupted.unrepeatable, "a step that may not run again had begun"),
        (interrupted.recovers is not None, "it was the second interruption of this commit"),
        (interrupted.trigger == "manual", "a user requested it"),
        (interrupted.cancel_requested or acted, "a user has acted since"),
    )
    return next((reason for holds, reason in reasons if holds), None)

"""Holding environments, resuming them, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fraisier_core.errors import ConflictError, InvalidRequestError
from fraisier_core.store.holds import Hold
from fraisier_core.store.protocol import DeploymentReader, Store
from fraisier_core.store.records import Deployment
from fraisier_core.system.host import utc_text
from fraisier_core.text.time_settings import duration_seconds

if TYPE_CHECKING:
    from fraisier_core.config import Config  # who reads from afar knows none

LONGEST_REASON = 500


def until(text: str, now: datetime | None = None) -> str:
    """Return the time that a user means, in UTC as the store has it: a duration from now, such as `2h`, or a
    time in the form of ISO 8601, without an offset one of this host. Raises `InvalidRequestError` if it is
    neither, or in the past.
    """
    now = now or datetime.now(UTC)
    try:
        ends = utc_text(_time(text.strip(), now))
    except (ValueError, OverflowError):
        form = "a duration, such as 90m or 2h, or a time, such as 2026-01-31T12:00 or 2026-01-31T12:00:00Z"
        raise InvalidRequestError(f"{text!r} is no time: it should be {form}") from None
    if ends <= utc_text(now):
        raise InvalidRequestError(f"{text} is in the past: it is {utc_text(now)[:19]}Z now")
    return ends


def _time(text: str, now: datetime) -> datetime:
    if text.endswith(("s", "m", "h", "d")):
        return now + timedelta(seconds=duration_seconds(text))
    return datetime.fromisoformat(text).astimezone(UTC)


def require_deployed(config: Config, fraise_id: str) -> None:
    """Raise `InvalidRequestError` if a fraise is never deployed: no hold keeps back what else is done."""
    fraise = config.fraise(fraise_id)
    if not any(each.is_deployed for each in fraise.environments.values()):
        why = f'its type "{fraise.type}" deploys nothing, and a hold keeps back deployments alone'
        raise InvalidRequestError(f"{fraise_id} cannot be held: {why}")


def hold(
    store: Store, fraise_id: str, environment: str | None, *, reason: str, held_by: str, ends: str | None
) -> str:
    """Hold an environment of a fraise, or all of them, and return the id of the hold. Raises
    `InvalidRequestError` if the reason says nothing or cannot be shown in a line, or as `until` does.
    """
    said = reason.strip()
    if not said or not said.isprintable() or len(said) > LONGEST_REASON:
        raise InvalidRequestError(f"the reason should be one line of 1 to {LONGEST_REASON} characters")
    return store.hold(fraise_id, environment, said, held_by, until(ends) if ends is not None else None)


def resume(store: Store, fraise_id: str, environment: str | None, resumed_by: str) -> list[str]:
    """End what users hold of an environment or, without one, of a fraise and all its environments; the
    workers are woken. Return the ids of these holds. Raises `ConflictError` if there are none.
    """
    if ids := store.resume(fraise_id, environment, resumed_by):
        store.wake()
        return ids
    what = " ".join(filter(None, (fraise_id, environment)))
    holds = store.holds(fraise_id, environment)
    raise ConflictError(_why_not(what, holds[0]) if holds else f"{what} is not held")


def _why_not(what: str, found: Hold) -> str:
    if found.cause == "freeze":
        return f"{what} is {found.text}; a window of `freeze:` ends by itself, or with its rule"
    return f"{what} is {found.text}; that holds all of {found.fraise_id}: `fraisier resume {found.fraise_id}`"


def hold_of(deployment: Deployment, reader: DeploymentReader) -> Hold | None:
    """Return the hold that a deployment waits for, None if it waits for none."""
    return holds_of([deployment], reader).get(deployment.id)


def holds_of(deployments: Iterable[Deployment], reader: DeploymentReader | None) -> dict[str, Hold]:
    """Return the holds that some deployments wait for, by the ids of those that do."""
    waiting = [each for each in deployments if each.status == "pending" and each.obeys_holds]
    if not waiting or reader is None:
        return {}
    where = {(each.fraise_id, each.environment) for each in waiting}
    names = where.pop() if len(where) == 1 else ()
    found = {(each.fraise_id, each.environment): each for each in reader.holds(*names)}
    pairs = ((each.id, found.get((each.fraise_id, each.environment))) for each in waiting)
    return {deployment_id: hold for deployment_id, hold in pairs if hold is not None}


def holds_of_waiting(reader: DeploymentReader) -> dict[str, Hold]:
    """Return the holds that deployments wait for, by the ids of these; of each environment the newest."""
    if not reader.holds():
        return {}
    ids = [each.deployment_id for each in reader.status() if each.pending and each.deployment_id]
    return holds_of(map(reader.deployment, ids), reader)


def resume_commands(found: Hold) -> tuple[str, ...]:
    """Return the command that ends a hold; none for a window, which ends by itself."""
    return () if found.cause == "freeze" else (f"fraisier resume {found.fraise_id} {found.environment}",)

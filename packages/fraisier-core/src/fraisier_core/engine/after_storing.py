"""A run that stored what it is for, and failed or was cut off afterwards, such as while it pruned."""

from __future__ import annotations

from fraisier_core.store.events import Event
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import KINDS


def has_stored(deployment: Deployment) -> bool:
    """Whether a run stored what it is for."""
    return KINDS[deployment.kind].stores and deployment.stored_name is not None


def problem_of_stored(deployment: Deployment, why: str) -> Event | None:
    """Return the event that says what went wrong after it was recorded what a run stored: it succeeds with
    that. None if its kind stores nothing, or nothing was recorded.

    Args:
        deployment: the run.
        why: what ended it.
    """
    if not has_stored(deployment):
        return None
    problems = filter(None, (deployment.stored_problem, f"what follows the storing was not done: {why}"))
    return Event(
        "stored",
        stored_name=deployment.stored_name,
        stored_size=deployment.stored_size,
        stored_sha256=deployment.stored_sha256,
        stored_at=deployment.stored_at,
        message="; ".join(problems),
    )

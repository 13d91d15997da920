"""The lines of the worker's log on the start and the end of each deployment."""

from __future__ import annotations

from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import ENDED
from fraisier_core.text.printable import printable


def started(deployment: Deployment, *, recover: bool) -> str:
    """Return the line on a deployment that a process was told to execute or recover."""
    of = deployment.commit_sha[:12] if deployment.commit_sha else deployment.ref_name
    what = f"{deployment.kind} of {of}" if of else deployment.kind
    by = deployment.requested_by or deployment.trigger
    verb = "is recovered" if recover else "started"
    return _line(f"{_what(deployment)} {verb}: {what}, requested by {by}")


def ended(deployment: Deployment) -> str:
    """Return the line on a deployment whose process has ended."""
    if deployment.status not in ENDED:
        return f"{_what(deployment)} has no process any more: {deployment.status}"
    took = f" after {deployment.duration:.1f} s" if deployment.duration is not None else ""
    why = f": {deployment.error_message}" if deployment.error_message else ""
    return _line(f"{_what(deployment)} ended{took}: {deployment.status}{why}")


def _what(deployment: Deployment) -> str:
    return f"deployment {deployment.id} of {deployment.fraise_id} {deployment.environment}"


def _line(text: str) -> str:
    return " ".join(printable(text).split())

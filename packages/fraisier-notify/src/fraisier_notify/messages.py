"""What people are told: what changed, who asked for it, the last lines of the output, the next command."""

from __future__ import annotations

import re

from fraisier_core import Deployment, DeploymentEvent, Missed, ObserverContext

from fraisier_notify.notify_settings import Change

SAMPLE = "Fraisier: a test", "This is a test of `fraisier notify test`. Nothing happened."
REPEATED = "This may be a repetition: an earlier attempt to send it failed, or was cut off."
_WORD_JOINER = "\u2060"
_MOST_LINES, _MOST_CHARACTERS = 20, 300
_BAD: dict[str, Change] = {"failed": "failed", "interrupted": "failed", "rolled_back": "rolled_back"}
_WORDS = {"failed": "failed", "rolled_back": "was rolled back", "recovered": "succeeds again"}


def change_of(event: DeploymentEvent, context: ObserverContext) -> Change | None:
    """Return what a change means to people, None if it is none that they are told of."""
    if event.event == "success":
        return "recovered" if context.previous and context.previous.status in _BAD else None
    return _BAD.get(event.event)


def message_of(
    change: Change, deployment: Deployment, event: DeploymentEvent, context: ObserverContext
) -> tuple[str, str]:
    """Return the title and the body of what is said about a change of a deployment."""
    what = _WORDS[change] if event.event != "interrupted" else "was interrupted"
    title = f"{deployment.fraise_id} {deployment.environment}: {deployment.kind.replace('_', ' ')} {what}"
    message = event.message or deployment.error_message or ""
    facts = _facts(deployment, event, context)
    parts = [message if change != "recovered" else "", "\n".join(facts)]
    if context.output:
        lines = [line[:_MOST_CHARACTERS] for line in context.output[-_MOST_LINES:]]
        parts.append("\n".join(["The last lines of its output:", *(f"  {line}" for line in lines)]))
    said = _as_words("\n\n".join(filter(None, parts)))
    ours = context.link(deployment), f"Next: {_next(change, deployment)}"
    return title, "\n\n".join(filter(None, [said, *ours]))


def missed_message(missed: Missed) -> tuple[str, str]:
    """Return the title and the body of what is said about a job that did not run in time."""
    where = f"{missed.fraise_id} {missed.environment}"
    title = f"{where}: {missed.kind.replace('_', ' ')} is overdue"
    since = f"The last one was requested at {_minute(missed.since)}." if missed.since else ""
    due = f"It was due at {_minute(missed.due)}, and nobody requested it."
    return title, "\n\n".join(filter(None, [due, since, f"Next: fraisier status {missed.fraise_id}"]))


def _as_words(text: str) -> str:
    """Return a text, part of which whoever pushes wrote, without what a chat takes for a name to call, such
    as `@channel` or `<!here>`, or for a link with a text of its own: it looks as before.
    """
    return re.sub(r"[@<]|\](?=[(\[:])", rf"\g<0>{_WORD_JOINER}", text)


def _facts(deployment: Deployment, event: DeploymentEvent, context: ObserverContext) -> list[str]:
    before = context.previous and context.previous.commit_sha
    commit, arguments = deployment.commit_sha, " ".join(deployment.arguments)
    changed = f"{commit[:12]}" if commit else ""
    if changed and before and before != commit:
        changed = f"{before[:12]} -> {changed}"
    facts = {
        "commit": f"{changed} of {deployment.ref_name}" if changed and deployment.ref_name else changed,
        "arguments": arguments,
        "requested by": f"{deployment.requested_by or 'nobody'} ({deployment.trigger})",
        "at": _minute(event.at),
        "deployment": deployment.id,
    }
    return [f"{name}: {value}" for name, value in facts.items() if value]


def _next(change: Change, deployment: Deployment) -> str:
    if change == "recovered":
        return f"fraisier status {deployment.fraise_id}"
    return f"fraisier show {deployment.id}"


def _minute(at: str) -> str:
    return f"{at[:16].replace('T', ' ')} UTC"

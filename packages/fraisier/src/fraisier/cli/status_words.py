"""The words of `fraisier status`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from fraisier_core.store.vocabulary import KINDS

from fraisier.cli.sizes import in_bytes, stored_in_words
from fraisier.cli.tables import Cell, noun, short_commit, short_id, status_cell
from fraisier.cli.times import ago, lasted, until

if TYPE_CHECKING:
    from fraisier_core.store.records import BranchHead, Deployment, EnvironmentStatus
    from fraisier_core.units.timers import TimerFacts

    from fraisier.cli.status_facts import Runs, Shown


def serving_cell(status: EnvironmentStatus) -> Cell:
    """Return which commit serves."""
    if status.serving_unknown:
        return Cell("unknown", "red")
    return Cell(short_commit(status.serving_commit_sha) or "nothing")


def last_cell(status: EnvironmentStatus) -> Cell:
    """Return how the last deployment ended."""
    return status_cell(status.status or "never deployed")


def next_of(shown: Shown) -> str | None:
    """Return what is next in an environment."""
    if shown.status.awaits_decision is not None:
        return "waits for a decision"
    if shown.status.pending:
        return "one is held" if shown.hold else "one is waiting"
    if shown.missed:
        return f"{_name(shown.missed[-1])} was missed"
    if shown.ahead:
        return f"{shown.ahead.ref_name} is ahead"
    if shown.runs.commands:
        return "run waits for a decision"
    return "held" if shown.hold else None


def run_cell(shown: Shown) -> Cell | None:
    """Return how the last run ended, and when; of a backup, how much it stored."""
    ran = shown.runs.last
    if ran is None:
        return None
    when = ago(ran.completed_at or ran.started_at or ran.requested_at)
    size = f", {in_bytes(ran.stored_size)}" if ran.stored_size is not None else ""
    colour = "yellow" if ran.status == "success" and shown.doubt else status_cell(ran.status).colour
    return Cell(f"{ran.status} {when}{size}", colour)


def run_in_words(ran: Deployment | None) -> Cell | None:
    """Return all that is told of the last run."""
    if ran is None:
        return None
    took = f", took {lasted(ran.duration)}" if ran.duration is not None else ""
    message = f": {ran.error_message}" if ran.error_message else ""
    when = ago(ran.completed_at or ran.started_at or ran.requested_at)
    return Cell(f"{ran.status} {when}{took} ({short_id(ran.id)}){message}", status_cell(ran.status).colour)


def backup_in_words(shown: Shown) -> Cell | None:
    """Return what the last backup stored, and where; in yellow if it may not be possible to restore it."""
    done = shown.backup
    if done is None:
        return None
    return Cell(f"{ago(done.completed_at)}: {stored_in_words(done)}", "yellow" if shown.doubt else None)


def failed_in_words(shown: Shown) -> str | None:
    """Return why the last run failed and, of a backup, how old the last good one is; None if it did not."""
    last = shown.runs.begun
    if last is None or last.status != "failed":
        return None
    good = ""
    if last.kind == "backup":
        good = (
            f"; the last good one is of {ago(shown.backup.completed_at)}"
            if shown.backup
            else "; none is good"
        )
    return f"its last {noun(last.kind)} failed: {last.error_message}{good}"


def is_deployed(shown: Shown) -> bool:
    """Whether deployments are what happens here, as far as the record tells."""
    last = shown.runs.last or shown.tests.last
    return shown.status.status is not None or last is None or KINDS[last.kind].source != "nothing"


def ahead_in_words(ahead: Deployment | None) -> str | None:
    """Return what was pushed and does not serve."""
    if ahead is None:
        return None
    what = f"{ahead.ref_name} is at {short_commit(ahead.commit_sha)}"
    return f"{what} (push of {ago(ahead.requested_at)}: {ahead.status}, {short_id(ahead.id)})"


def missed_in_words(missed: BranchHead) -> str:
    """Return which head of a branch was never requested."""
    return f"{_name(missed)} is at {short_commit(missed.head)}, never requested (seen {ago(missed.seen_at)})"


def unasked_in_words(unasked: BranchHead | None) -> str | None:
    """Return why the repository could not be asked."""
    return unasked and f"{ago(unasked.seen_at)}: {unasked.problem}"


def _name(missed: BranchHead) -> str:
    from fraisier_core.push import spoken_ref

    return spoken_ref(missed.ref)


def next_in_words(shown: Shown) -> str | None:
    """Return what is next, with the commands for it."""
    commands = " or ".join(f"`{command}`" for command in commands_of_next(shown))
    return f"{next_of(shown)}: {commands}" if commands else next_of(shown)


def commands_of_next(shown: Shown) -> tuple[str, ...]:
    """Return the commands for what is next: they take a decision, or deploy or follow what is ahead."""
    if shown.commands or shown.status.pending:
        return shown.commands
    if shown.missed:
        return (f"fraisier reconcile {shown.status.fraise_id} {shown.status.environment} --deploy",)
    if shown.ahead is None:
        return ()
    if shown.ahead.status == "running":
        return (f"fraisier logs {short_id(shown.ahead.id)} --follow",)
    return (f"fraisier deploy {shown.status.fraise_id} {shown.status.environment}",)


def next_run(timer: TimerFacts | None) -> str | None:
    """Return when a run is requested next."""
    if timer is None or timer.next is None:
        return None
    return f"{datetime.fromisoformat(timer.next):%Y-%m-%d %H:%M} UTC, {until(timer.next)}"


def run_again(shown: Shown) -> str | None:
    """Return the command that runs a job again, if its last run waits for a decision."""
    return " or ".join(f"`{command}`" for command in shown.runs.commands) or None


def queued_in_words(runs: Runs) -> str | None:
    """Return which run waits, if another one is told of as the last."""
    waiting = runs.waiting
    if waiting is None or waiting is runs.last:
        return None
    by = waiting.requested_by or waiting.trigger
    return f"a run waits, requested {ago(waiting.requested_at)} by {by} ({short_id(waiting.id)})"


def left_in_words(shown: Shown) -> str | None:
    """Return which old releases cannot be deleted, and how to."""
    if not shown.undeletable:
        return None
    from shlex import quote

    reasons, folder = "; ".join(shown.undeletable.values()), next(iter(shown.undeletable)).rpartition("/")[0]
    return f"old releases cannot be deleted ({reasons}); as root: `rm -r {quote(folder)}/.trash-*`"

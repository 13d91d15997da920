"""How `fraisier status` prints what it knows: all environments in a table, one on a page."""

from __future__ import annotations

from collections.abc import Iterator

from fraisier.cli.status_facts import Shown
from fraisier.cli.status_words import (
    ahead_in_words,
    backup_in_words,
    commands_of_next,
    failed_in_words,
    is_deployed,
    last_cell,
    left_in_words,
    missed_in_words,
    next_in_words,
    next_of,
    next_run,
    queued_in_words,
    run_again,
    run_cell,
    run_in_words,
    serving_cell,
    unasked_in_words,
)
from fraisier.cli.tables import Cell, print_facts, print_table, short_commit, short_id
from fraisier.cli.times import ago, lasted, until
from fraisier.terminal import say


def print_all(found: list[Shown]) -> None:
    """Print a row for each environment, and below the table what does not fit into it."""
    runs = any(each.runs.last for each in found)
    schedules = any(each.timer and each.timer.next for each in found)
    jobs = [*(["RUN"] if runs else []), *(["NEXT RUN"] if schedules else [])]
    titles = ["FRAISE", "ENVIRONMENT", "SERVING", "SINCE", "LAST", "WHEN", *jobs, "NEXT", "MESSAGE"]
    rows = [_row(each, runs=runs, schedules=schedules) for each in found]
    titles_shown = print_table(titles, rows, ("SINCE", "WHEN", "NEXT RUN", "NEXT"))
    for each in found:
        where = f"{each.status.fraise_id} {each.status.environment}"
        for text, colour in _remarks(each, is_told="NEXT" in titles_shown):
            say(f"{where}{text}", colour)


def _row(shown: Shown, *, runs: bool, schedules: bool) -> list[Cell | str | None]:
    status, upcoming = shown.status, shown.timer and shown.timer.next
    return [
        status.fraise_id,
        status.environment,
        serving_cell(status) if is_deployed(shown) else None,
        ago(status.last_deployed),
        last_cell(status) if is_deployed(shown) else None,
        ago(status.completed_at or status.started_at),
        *([run_cell(shown)] if runs else ()),
        *([upcoming and until(upcoming)] if schedules else ()),
        next_of(shown),
        status.error_message,
    ]


def _remarks(shown: Shown, *, is_told: bool) -> Iterator[tuple[str, str]]:
    """Yield what is said of an environment below the table, with its colour; `is_told`: what is next."""
    if commands_of_next(shown) or (not is_told and next_of(shown) and not shown.runs.commands):
        yield f"{' ' if shown.commands else ': '}{next_in_words(shown)}", "yellow"
    if again := run_again(shown):
        yield f": its last run was interrupted and waits for a decision: {again}", "yellow"
    if shown.hold:
        yield f" is {shown.hold.text}", "yellow"
    remarks = (
        (failed_in_words(shown), "red"),
        (unasked_in_words(shown.unasked), "yellow"),
        (shown.timer and shown.timer.problem, "red"),
        (shown.doubt, "yellow"),
        (left_in_words(shown), "yellow"),
    )
    yield from ((f": {text}", colour) for text, colour in remarks if text)


def print_one(shown: Shown) -> None:
    """Print all that is known of an environment."""
    status = shown.status
    serving = serving_cell(status)
    if status.serving_release:
        release = f"{serving.text} (release {status.serving_release}), since {ago(status.last_deployed)}"
        serving = Cell(release, serving.colour)
    last = last_cell(status)
    if status.deployment_id:
        last = Cell(f"{last.text} ({status.kind} {short_id(status.deployment_id)})", last.colour)
    name = f" ({status.name})" if status.name else ""
    print_facts(
        f"{status.fraise_id} {status.environment}{name}",
        [
            ("serving", serving if is_deployed(shown) else None),
            ("last", last if is_deployed(shown) else None),
            ("commit", short_commit(status.commit_sha)),
            ("when", ago(status.completed_at or status.started_at)),
            ("took", lasted(status.duration)),
            ("message", status.error_message),
            ("run", run_in_words(shown.runs.last)),
            ("queued", queued_in_words(shown.runs)),
            ("run again", Cell(run_again(shown), "yellow")),
            ("ahead", ahead_in_words(shown.ahead)),
            *[("missed", missed_in_words(each)) for each in shown.missed],
            ("unasked", Cell(unasked_in_words(shown.unasked), "yellow")),
            ("hold", Cell(shown.hold and shown.hold.text, "yellow")),
            ("next", Cell(next_in_words(shown), "yellow" if shown.commands else None)),
            ("next run", next_run(shown.timer)),
            ("timer", Cell(shown.timer and shown.timer.problem, "red")),
            ("backup", backup_in_words(shown)),
            ("restore test", run_in_words(shown.tests.last)),
            ("next test", next_run(shown.test_timer)),
            ("doubt", Cell(shown.doubt, "yellow")),
            ("left", Cell(left_in_words(shown), "yellow")),
        ],
    )

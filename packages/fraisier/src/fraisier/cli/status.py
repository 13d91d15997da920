"""`fraisier status`: the serving release, and how the last deployment ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from fraisier.cli.parameters import AnyEnvironment, AnyFraise, ConfigFile, Json, command_app
from fraisier.cli.tables import Cell, print_facts, print_table, short_commit, short_id, status_cell
from fraisier.cli.times import ago, lasted
from fraisier.cli.where import session_of
from fraisier.terminal import print_json, say, tell

if TYPE_CHECKING:
    from fraisier_core.config import Config
    from fraisier_core.store.protocol import DeploymentReader
    from fraisier_core.store.records import BranchHead, Deployment, EnvironmentStatus
    from fraisier_core.units.timers import TimerFacts

    from fraisier.cli.any_session import AnySession

RUN_KEYS = ("id", "status", "trigger", "requested_at", "completed_at", "duration", "error_message")
NO_WORKER = "no worker is running: pushes wait until one is"
app = command_app()


@app.command()
def status(
    ctx: typer.Context,
    fraise: AnyFraise = None,
    environment: AnyEnvironment = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show the serving release, and how the last deployment ended."""
    session = session_of(ctx, config)
    reader = session.reader()
    found = _read(session, reader, fraise, environment)
    workers = reader.live_workers() if reader else 0
    if as_json:
        print_json([_as_json(each) | {"live_workers": workers} for each in found])
        return
    if environment is not None:
        _print_one(found[0])
    else:
        _print_all(found)
    if reader and not workers and _needs_worker(session, found):
        tell(NO_WORKER, "yellow")


class Shown(NamedTuple):
    """What is shown of an environment; a user runs one of `commands` if it waits for a decision. `ahead` is
    the newest push that does not serve, `ran` the newest run of its job. `missed` are the branch heads that
    were never requested, when it was reconciled last; `unasked` says why the repository could not be asked,
    `timer` when a run is requested next.
    """

    status: EnvironmentStatus
    commands: tuple[str, ...]
    undeletable: dict[str, str]
    ahead: Deployment | None
    ran: Deployment | None
    missed: tuple[BranchHead, ...]
    unasked: BranchHead | None
    timer: TimerFacts | None


def _needs_worker(session: AnySession, found: list[Shown]) -> bool:
    """Whether something waits for a worker, or may be pushed at any time."""
    configured = session.configured
    pushes = configured is None or configured.git.default or configured.branch_mapping
    return bool(pushes) or _reconciles(configured) or any(each.status.pending for each in found)


def _reconciles(configured: Config | None) -> bool:
    from fraisier_core.requests.following import reconcile_section

    return any(map(reconcile_section, configured.environments)) if configured else False


def _as_json(shown: Shown) -> dict[str, Any]:
    ahead = shown.ahead
    missed = [{key: getattr(each, key) for key in ("ref", "head", "seen_at")} for each in shown.missed]
    return shown.status._asdict() | {
        "commands": shown.commands,
        "undeletable": shown.undeletable,
        "ahead": ahead and {key: getattr(ahead, key) for key in ("id", "ref", "commit_sha", "status")},
        "run": shown.ran and {key: getattr(shown.ran, key) for key in RUN_KEYS},
        "missed": missed,
        "unasked": shown.unasked and shown.unasked.problem,
        "timer": shown.timer and shown.timer._asdict(),
    }


def _read(
    session: AnySession, reader: DeploymentReader | None, fraise: str | None, environment: str | None
) -> list[Shown]:
    known = {(each.fraise_id, each.environment): each for each in reader.status()} if reader else {}
    found, wanted = [], _environments(session, reader, fraise, environment)
    timers = session.timers(reader, wanted)
    for names in wanted:
        status = known.get(names) or _never_deployed(session, *names)
        left = session.undeletable(*names)
        newest = _newest(reader, status)
        ahead, missed = _ahead(newest, status), _missed(session, reader, *names)
        run, timer = _last_run(newest), timers.get(names)
        found.append(Shown(status, _decision(reader, status), left, ahead, run, *missed, timer))
    return found


def _never_deployed(session: AnySession, fraise: str, environment: str) -> EnvironmentStatus:
    from fraisier_core.store.records import EnvironmentStatus

    assert session.configured is not None  # noqa: S101 - else the store named it
    found = session.configured.fraise(fraise)
    return EnvironmentStatus(fraise, environment, found.type, found.description)


def _environments(
    session: AnySession, reader: DeploymentReader | None, fraise: str | None, environment: str | None
) -> list[tuple[str, str]]:
    names = session.names(reader)
    if fraise is None:
        return [(name, each) for name, known in names.items() for each in known]
    one = session.environment(reader, fraise, environment)
    return [(fraise, each) for each in ([one] if one is not None else names[fraise])]


def _decision(reader: DeploymentReader | None, status: EnvironmentStatus) -> tuple[str, ...]:
    """Return the commands of which a user runs one; none if the environment awaits no decision."""
    if reader is None or status.awaits_decision is None:
        return ()
    from fraisier_core.engine.decision import commands

    return commands(reader.deployment(status.awaits_decision), serving_unknown=status.serving_unknown)


def _newest(reader: DeploymentReader | None, status: EnvironmentStatus) -> list[Deployment]:
    """Return the newest deployments and runs of an environment in which a release serves."""
    if reader is None or status.serving_commit_sha is None:
        return []
    return reader.deployments(status.fraise_id, status.environment)


def _ahead(newest: list[Deployment], status: EnvironmentStatus) -> Deployment | None:
    """Return the newest push that was routed to an environment, if it is newer than the serving commit."""
    from fraisier_core.store.vocabulary import KINDS

    for each in newest:
        if each.kind not in KINDS or KINDS[each.kind].source != "commit":
            continue
        if each.commit_sha == status.serving_commit_sha:
            return None
        if each.trigger != "manual" and each.status not in {"skipped", "superseded"}:
            return each
    return None


def _last_run(newest: list[Deployment]) -> Deployment | None:
    """Return the newest run that was not passed over; one that waits only if it is the first."""
    from fraisier_core.store.vocabulary import KINDS

    runs = [each for each in newest if each.kind in KINDS and KINDS[each.kind].job]
    begun = [each for each in runs if each.status not in {"pending", "skipped"}]
    return next(iter(begun or runs), None)


def _missed(
    session: AnySession, reader: DeploymentReader | None, fraise: str, environment: str
) -> tuple[tuple[BranchHead, ...], BranchHead | None]:
    """Return what was missed, by what the repository said last, and why it could not be asked since."""
    heads = reader.branch_heads(fraise, environment) if reader else []
    if reader is None or not heads or not _follows(session.configured, fraise, environment):
        return (), None
    from fraisier_core.requests.drift import missed

    return missed(reader, heads), next((each for each in heads if not each.ref), None)


def _follows(configured: Config | None, fraise: str, environment: str) -> bool:
    """Whether an environment may follow a branch, so that reconciling would renew what is recorded of it."""
    if configured is None:
        return True
    from fraisier_core.requests.following import follows

    return follows(configured, configured.environment(fraise, environment))


def _print_all(found: list[Shown]) -> None:
    jobs = any(shown.ran for shown in found)
    job_title = ("RUN",) if jobs else ()
    titles = ("FRAISE", "ENVIRONMENT", "SERVING", "SINCE", "LAST", "WHEN", *job_title, "NEXT", "MESSAGE")
    rows = [
        (
            each.fraise_id,
            each.environment,
            _serving(each),
            ago(each.last_deployed),
            _last(each),
            ago(each.completed_at or each.started_at),
            *([_run(shown.ran)] if jobs else ()),
            _next(shown),
            each.error_message,
        )
        for shown in found
        for each in [shown.status]
    ]
    titles_shown = print_table(titles, rows, ("SINCE", "WHEN", "NEXT"))
    for shown in found:
        where = f"{shown.status.fraise_id} {shown.status.environment}"
        if _commands(shown) or ("NEXT" not in titles_shown and _next(shown)):
            say(f"{where}{' ' if shown.commands else ': '}{_next_in_words(shown)}", "yellow")
        if shown.unasked:
            say(f"{where}: {_unasked_in_words(shown.unasked)}", "yellow")
        if shown.timer and shown.timer.problem:
            say(f"{where}: {shown.timer.problem}", "red")
        if shown.undeletable:
            say(f"{where}: {_left_in_words(shown)}", "yellow")


def _print_one(shown: Shown) -> None:
    status = shown.status
    serving = _serving(status)
    if status.serving_release:
        release = f"{serving.text} (release {status.serving_release}), since {ago(status.last_deployed)}"
        serving = Cell(release, serving.colour)
    last = _last(status)
    if status.deployment_id:
        last = Cell(f"{last.text} ({status.kind} {short_id(status.deployment_id)})", last.colour)
    name = f" ({status.name})" if status.name else ""
    print_facts(
        f"{status.fraise_id} {status.environment}{name}",
        [
            ("serving", serving),
            ("last", last),
            ("commit", short_commit(status.commit_sha)),
            ("when", ago(status.completed_at or status.started_at)),
            ("took", lasted(status.duration)),
            ("message", status.error_message),
            ("run", _run_in_words(shown.ran)),
            ("ahead", _ahead_in_words(shown.ahead)),
            *[("missed", _missed_in_words(each)) for each in shown.missed],
            ("unasked", Cell(_unasked_in_words(shown.unasked), "yellow")),
            ("next", Cell(_next_in_words(shown), "yellow" if shown.commands else None)),
            ("next run", _next_run(shown.timer)),
            ("overdue", Cell(shown.timer and shown.timer.problem, "red")),
            ("left", Cell(_left_in_words(shown), "yellow")),
        ],
    )


def _serving(status: EnvironmentStatus) -> Cell:
    if status.serving_unknown:
        return Cell("unknown", "red")
    return Cell(short_commit(status.serving_commit_sha) or "nothing")


def _last(status: EnvironmentStatus) -> Cell:
    return status_cell(status.status or "never deployed")


def _next(shown: Shown) -> str | None:
    if shown.status.awaits_decision is not None:
        return "waits for a decision"
    if shown.status.pending:
        return "one is waiting"
    if shown.missed:
        return f"{_name(shown.missed[-1])} was missed"
    return f"{shown.ahead.ref_name} is ahead" if shown.ahead else None


def _run(ran: Deployment | None) -> Cell | None:
    if ran is None:
        return None
    when = ago(ran.completed_at or ran.started_at or ran.requested_at)
    return Cell(f"{ran.status} {when}", status_cell(ran.status).colour)


def _run_in_words(ran: Deployment | None) -> Cell | None:
    if ran is None:
        return None
    took = f", took {lasted(ran.duration)}" if ran.duration is not None else ""
    message = f": {ran.error_message}" if ran.error_message else ""
    when = ago(ran.completed_at or ran.started_at or ran.requested_at)
    return Cell(f"{ran.status} {when}{took} ({short_id(ran.id)}){message}", status_cell(ran.status).colour)


def _ahead_in_words(ahead: Deployment | None) -> str | None:
    if ahead is None:
        return None
    what = f"{ahead.ref_name} is at {short_commit(ahead.commit_sha)}"
    return f"{what} (push of {ago(ahead.requested_at)}: {ahead.status}, {short_id(ahead.id)})"


def _missed_in_words(missed: BranchHead) -> str:
    return f"{_name(missed)} is at {short_commit(missed.head)}, never requested (seen {ago(missed.seen_at)})"


def _unasked_in_words(unasked: BranchHead | None) -> str | None:
    return unasked and f"{ago(unasked.seen_at)}: {unasked.problem}"


def _name(missed: BranchHead) -> str:
    from fraisier_core.push import spoken_ref

    return spoken_ref(missed.ref)


def _next_in_words(shown: Shown) -> str | None:
    commands = " or ".join(f"`{command}`" for command in _commands(shown))
    return f"{_next(shown)}: {commands}" if commands else _next(shown)


def _commands(shown: Shown) -> tuple[str, ...]:
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


def _next_run(timer: TimerFacts | None) -> str | None:
    if timer is None or timer.next is None:
        return None
    from fraisier.cli.schedules import in_words

    return in_words(timer.next)


def _left_in_words(shown: Shown) -> str | None:
    if not shown.undeletable:
        return None
    from shlex import quote

    reasons, folder = "; ".join(shown.undeletable.values()), next(iter(shown.undeletable)).rpartition("/")[0]
    return f"old releases cannot be deleted ({reasons}); as root: `rm -r {quote(folder)}/.trash-*`"

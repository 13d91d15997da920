"""`fraisier deploy`: deploy a commit, and follow that to its end; or show what it would do, as a plan."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from fraisier_core.errors import ConflictError, RemoteError

from fraisier.cli.parameters import ConfigFile, Detach, Environment, Fraise, Json, command_app
from fraisier.cli.session import ActingSession, fork_early
from fraisier.cli.tables import Cell, print_facts, short_commit, short_id
from fraisier.cli.where import remote_session
from fraisier.exit_codes import ExitCode
from fraisier.terminal import print_json, tell

if TYPE_CHECKING:
    from fraisier_core.config import Environment as ConfiguredEnvironment
    from fraisier_core.engine.plan import Plan
    from fraisier_core.store.records import Deployment, Request

    from fraisier.cli.remote_session import RemoteSession

app = command_app()


def _commit(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[0-9a-fA-F]{4,64}", text):
        raise typer.BadParameter("a commit is 4 to 64 hexadecimal digits; --branch takes a branch")
    return text.lower() if text else None


_Commit = Annotated[
    str | None, typer.Option(metavar="SHA", callback=_commit, help="A commit, or the beginning of its id.")
]
_Branch = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The newest commit of a branch; else of the environment's own."),
]
_OverrideHold = Annotated[
    bool, typer.Option("--override-hold", help="Deploy even if the environment is held.")
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would do, as a plan.")]
_PlanHash = Annotated[
    str | None, typer.Option(metavar="HASH", help="Only if a plan of that hash would be made now.")
]


@app.command()
def deploy(
    ctx: typer.Context,
    fraise: Fraise,
    environment: Environment,
    *,
    commit: _Commit = None,
    branch: _Branch = None,
    override_hold: _OverrideHold = False,
    dry_run: _DryRun = False,
    plan: _PlanHash = None,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Deploy, and follow it to its end."""
    if commit and branch:
        raise typer.BadParameter("give --commit or --branch, not both")
    if (remote := remote_session(ctx, config)) is not None:
        if dry_run or plan is not None:
            raise RemoteError("a plan is made on the host: run `fraisier deploy` there, without --url")
        names = remote.usable_environment(fraise, environment)
        requested = remote.requests.deploy(*names, commit, branch, override_hold=override_hold)
        _follow(remote, requested, detach=detach, as_json=as_json)
        return
    process = None if detach or dry_run else fork_early()
    session = ActingSession(config)
    from fraisier.cli.executing import execute

    found = session.usable_environment(fraise, environment)
    request = _request(session, found, commit, branch)._replace(overrides_hold=override_hold)
    if dry_run:
        raise typer.Exit(_show_plan(_plan(session, request), as_json=as_json))
    if plan is not None:
        request = request._replace(commit_sha=_confirmed(_plan(session, request), plan))
    execute(session, found, lambda _: request, process=process, as_json=as_json)


def _follow(remote: RemoteSession, requested: Deployment, *, detach: bool, as_json: bool) -> None:
    from fraisier.cli.acting import follow_requested

    follow_requested(remote, requested, detach=detach, as_json=as_json)


def _request(
    session: ActingSession, environment: ConfiguredEnvironment, commit: str | None, branch: str | None
) -> Request:
    from fraisier_core.engine.manual import deploy_request

    return deploy_request(session.config, environment, session.user, commit, branch)


def _plan(session: ActingSession, request: Request) -> Plan:
    """Return what a request would do now; it fetches the mirror and changes nothing else."""
    from fraisier_core.engine.plan import plan

    resolved = session.config.resolved(request.fraise_id, request.environment)
    reader = session.reader()
    session.become_owner()
    return plan(resolved, session.plugins, reader, request)


def _confirmed(plan: Plan, wanted: str) -> str | None:
    """Return the commit of a plan. Raises `ConflictError` unless it is the wanted one and not refused."""
    what = f"{plan.fraise_id} {plan.environment}"
    if plan.hash != wanted:
        changed = f"plan {wanted} of {what} is outdated: the plan is {plan.hash} now"
        raise ConflictError(f"{changed}; see it with --dry-run")
    if plan.refused:
        raise ConflictError(f"plan {wanted} of {what} would be refused: {plan.refused}")
    return plan.commit_sha


def _show_plan(plan: Plan, *, as_json: bool) -> ExitCode:
    """Print a plan, and return the exit code: a conflict if it would be refused."""
    if as_json:
        print_json({"hash": plan.hash, **asdict(plan)})
    else:
        _print_plan(plan)
    return ExitCode.CONFLICT if plan.refused else ExitCode.SUCCESS


def _print_plan(plan: Plan) -> None:
    serving = short_commit(plan.serving_commit_sha) or "nothing"
    steps = "as its type decides" if plan.steps is None else ", ".join(plan.steps)
    print_facts(
        f"plan {plan.hash} of {plan.fraise_id} {plan.environment}",
        [
            ("commit", plan.commit_sha),
            ("ref", plan.ref),
            ("mode", plan.mode),
            ("serving", f"{serving} (release {plan.serving_release})" if plan.serving_release else serving),
            ("steps", None if plan.commit_sha is None else steps),
            ("waits for", short_id(plan.waits_for) if plan.waits_for else None),
            ("supersedes", ", ".join(map(short_id, plan.supersedes)) or None),
            ("refused", Cell(plan.refused, "red")),
        ],
    )
    if not plan.refused:
        tell("nothing was changed; deploy with `--plan HASH` to refuse if this plan is outdated by then")

"""`fraisier deploy`: deploy a commit, and follow that to its end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer
from fraisier_core.errors import ConfigurationError

from fraisier.cli.early import fork_early
from fraisier.cli.parameters import ConfigFile, Detach, Environment, Fraise, Json, command_app
from fraisier.cli.planning import confirmed, make_plan, show_plan
from fraisier.cli.session import ActingSession

if TYPE_CHECKING:
    from fraisier_core.config import Environment as ConfiguredEnvironment
    from fraisier_core.store.records import Request

app = command_app()


def _commit(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[0-9a-fA-F]{4,64}", text):
        raise typer.BadParameter("a commit is 4 to 64 hexadecimal digits; --branch takes a branch")
    return text.lower() if text else None


@app.command()
def deploy(
    fraise: Fraise,
    environment: Environment,
    *,
    commit: Annotated[
        str | None,
        typer.Option(metavar="SHA", callback=_commit, help="A commit, or the beginning of its id."),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The newest commit of a branch; else of the environment's own."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do, as a plan.")] = False,
    plan: Annotated[
        str | None, typer.Option(metavar="HASH", help="Only if a plan of that hash would be made now.")
    ] = None,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Deploy, and follow it to its end."""
    if commit and branch:
        raise typer.BadParameter("give --commit or --branch, not both")
    process = None if detach or dry_run else fork_early()
    session = ActingSession.start(config)
    from fraisier.cli.executing import execute, usable

    found = usable(session, fraise, environment)
    request = _request(session, found, commit, branch)
    if dry_run:
        raise typer.Exit(show_plan(make_plan(session, request), as_json=as_json))
    if plan is not None:
        request = request._replace(commit_sha=confirmed(make_plan(session, request), plan))
    execute(session, found, lambda _: request, process=process, as_json=as_json)


def _request(
    session: ActingSession, environment: ConfiguredEnvironment, commit: str | None, branch: str | None
) -> Request:
    from fraisier_core.push import BRANCH_PREFIX
    from fraisier_core.store.records import Request

    branch = branch or (None if commit else _configured_branch(session, environment))
    ref = f"{BRANCH_PREFIX}{branch}" if branch else None
    names = environment.fraise, environment.name
    return Request(*names, "deploy", "manual", session.user, ref=ref, commit_sha=commit)


def _configured_branch(session: ActingSession, environment: ConfiguredEnvironment) -> str:
    if environment.branch is None:
        where = f"{session.config.path}: fraises.{environment.fraise}.environments.{environment.name}"
        problem = "no `branch:` says what to deploy; set it, or give --branch or --commit"
        raise ConfigurationError([f"{where}: {problem}"])
    return environment.branch

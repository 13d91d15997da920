"""`fraisier status`: the serving release, and how the last deployment and the last run ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from fraisier.cli.parameters import AnyEnvironment, AnyFraise, ConfigFile, Json, command_app
from fraisier.cli.status_facts import gather
from fraisier.cli.times import DAY, ago, since
from fraisier.cli.where import session_of
from fraisier.terminal import print_json, tell

if TYPE_CHECKING:
    from fraisier_core.config import Config

    from fraisier.cli.any_session import AnySession
    from fraisier.cli.status_facts import Shown

NO_WORKER = "no worker is running: pushes wait until one is"
NOBODY_TOLD = "no worker is running: nobody is notified, and nothing pinged, until one is"
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
    found = gather(session, reader, fraise, environment)
    workers = reader.live_workers() if reader else 0
    if as_json:
        print_json([each.as_json() | {"live_workers": workers} for each in found])
        return
    from fraisier.cli.status_pages import print_all, print_one

    if environment is not None:
        print_one(found[0])
    else:
        print_all(found)
    for problem in session.observer_problems(reader):
        if since(problem.problem_at) < DAY:
            tell(f"observer {problem.name}, {ago(problem.problem_at)}: {problem.problem}", "yellow")
    if reader and not workers and _needs_worker(session, found):
        tell(NO_WORKER, "yellow")
    if reader and not workers and _notifies(session):
        tell(NOBODY_TOLD, "yellow")


def _needs_worker(session: AnySession, found: list[Shown]) -> bool:
    """Whether something waits for a worker, or may be pushed at any time."""
    configured = session.configured
    pushes = configured is None or configured.git.default or configured.branch_mapping
    return bool(pushes) or _reconciles(configured) or any(map(_waits, found))


def _notifies(session: AnySession) -> bool:
    """Whether the configuration, if it is known here, names whom to notify, or an address to ping."""
    configured = session.configured
    return configured is not None and (
        "notify" in configured.variables or any(each.pings for each in configured.environments)
    )


def _reconciles(configured: Config | None) -> bool:
    from fraisier_core.requests.following import reconcile_section

    return any(map(reconcile_section, configured.environments)) if configured else False


def _waits(shown: Shown) -> bool:
    """Whether a deployment waits for a worker, or a run for which there is no unit."""
    waiting = shown.runs.waiting
    return shown.status.pending or (waiting is not None and waiting.executor != "unit")

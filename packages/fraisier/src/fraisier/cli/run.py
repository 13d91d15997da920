"""`fraisier run`: run the job of an environment, and follow that to its end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from fraisier_core.errors import RemoteError
from fraisier_core.system.host import has_systemd

from fraisier.cli.parameters import ConfigFile, Detach, Environment, Fraise, Json, command_app
from fraisier.cli.session import ActingSession, fork_early
from fraisier.cli.told_to_end import heed_sigterm
from fraisier.cli.where import remote_session

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from fraisier_core.config import Environment as ConfiguredEnvironment
    from fraisier_core.store.protocol import Store
    from fraisier_core.store.records import Request
    from fraisier_core.store.vocabulary import Trigger

app = command_app()


@app.command()
def run(
    ctx: typer.Context,
    fraise: Fraise,
    environment: Environment,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGS]", help="Arguments of the job.")
    ] = None,
    *,
    scheduled: Annotated[bool, typer.Option("--scheduled", hidden=True)] = False,
    claim: Annotated[str | None, typer.Option("--claim", metavar="ID", hidden=True)] = None,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Run a job, and follow it to its end."""
    if (remote := remote_session(ctx, config)) is not None:
        if scheduled or claim is not None:
            raise RemoteError("--scheduled and --claim are for the units of the host: leave out --url")
        from fraisier.cli.acting import follow_requested

        requested = remote.requests.run(*remote.usable_environment(fraise, environment), arguments or [])
        follow_requested(remote, requested, detach=detach, as_json=as_json)
        return
    if claim is not None and (detach or scheduled):
        raise typer.BadParameter("--claim goes with neither --detach nor --scheduled")
    process = _process(claim, detach=detach)
    is_by_unit = scheduled or claim is not None
    session = ActingSession(config, last_good=is_by_unit)
    named = session.config.named_environment if is_by_unit else session.config.environment
    found = named(fraise, environment)
    if claim is not None and process is not None:
        from fraisier.cli.in_unit import execute_claimed

        execute_claimed(session, found, claim, process=process, as_json=as_json)
    trigger: Trigger = "schedule" if scheduled else "manual"
    request = partial(_request, session, found, arguments or [], trigger)
    if _is_for_unit(found, scheduled=scheduled):
        from fraisier.cli.in_unit import execute_in_unit

        execute_in_unit(session, found, request, detach=detach, as_json=as_json, scheduled=scheduled)
    else:
        from fraisier.cli.executing import execute

        if process is None and not detach:
            process = fork_early()
        if process is not None and not scheduled:
            session.usable_environment(fraise, environment)  # it is this process that needs what the job does
        execute(session, found, request, process=process, as_json=as_json, scheduled=scheduled)


def _process(claim: str | None, *, detach: bool) -> Connection | None:
    """Fork the process of a run, unless it may not be needed: it would delay what a unit executes."""
    if detach or (claim is None and has_systemd()):
        return None
    process = fork_early()
    if claim is not None:
        heed_sigterm()  # a unit that is stopped before all is read cancels its run nevertheless
    return process


def _is_for_unit(environment: ConfiguredEnvironment, *, scheduled: bool) -> bool:
    """Whether a unit of systemd executes the runs of an environment; those of a timer, if the record says so,
    whatever keeps the settings from being known.
    """
    from fraisier_core.requests.requesting import executor_for

    if scheduled or not has_systemd():
        return has_systemd()
    job = environment.job if environment.has_job else None
    return job is not None and executor_for(job) == "unit"


def _request(
    session: ActingSession,
    environment: ConfiguredEnvironment,
    arguments: list[str],
    trigger: Trigger,
    store: Store,
) -> Request:
    from fraisier_core.engine.manual import fired_request, run_request

    what = session.config, store, environment
    if trigger == "schedule":
        return fired_request(session.config, environment, arguments)
    return run_request(*what, requested_by=session.user, arguments=arguments)

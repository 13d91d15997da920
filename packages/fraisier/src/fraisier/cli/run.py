"""`fraisier run`: run the job of an environment, and follow that to its end."""

from __future__ import annotations

from typing import Annotated

import typer

from fraisier.cli.parameters import ConfigFile, Detach, Environment, Fraise, Json, Scheduled, command_app
from fraisier.cli.requested_jobs import RequestedJob, execute_claimed_job, for_units_alone, request_job
from fraisier.cli.where import remote_session

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
    scheduled: Scheduled = False,
    claim: Annotated[str | None, typer.Option("--claim", metavar="ID", hidden=True)] = None,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Run a job, and follow it to its end."""
    if claim is not None:
        if detach or scheduled:
            raise typer.BadParameter("--claim goes with neither --detach nor --scheduled")
        if remote_session(ctx, config) is not None:
            raise for_units_alone()
        execute_claimed_job(fraise, environment, claim, config, as_json=as_json)
    job = RequestedJob("run", fraise, environment, tuple(arguments or ()), scheduled)
    request_job(ctx, job, config, detach=detach, as_json=as_json)

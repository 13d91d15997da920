"""`fraisier run`: run the job of an environment, and follow that to its end."""

from __future__ import annotations

from typing import Annotated

import typer

from fraisier.cli.parameters import ConfigFile, Detach, Environment, Fraise, Json, Scheduled, command_app
from fraisier.cli.requested_jobs import (
    RequestedJob,
    execute_claimed_job,
    execute_job,
    refuse_claim_with,
    require_attended,
)
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
    if (remote := remote_session(ctx, config)) is not None:
        require_attended(scheduled=scheduled, claim=claim)
        from fraisier.cli.acting import follow_requested

        requested = remote.requests.run(*remote.usable_environment(fraise, environment), arguments or [])
        follow_requested(remote, requested, detach=detach, as_json=as_json)
        return
    refuse_claim_with(claim=claim, detach=detach, scheduled=scheduled)
    if claim is not None:
        execute_claimed_job(fraise, environment, claim, config, as_json=as_json)
    job = RequestedJob("run", fraise, environment, tuple(arguments or ()), scheduled)
    execute_job(job, config, detach=detach, as_json=as_json)

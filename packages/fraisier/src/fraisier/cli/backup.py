"""`fraisier backup`: make a backup, and follow that to its end."""

from __future__ import annotations

import typer

from fraisier.cli.parameters import ConfigFile, Detach, Environment, Fraise, Json, Scheduled, command_app
from fraisier.cli.requested_jobs import RequestedJob, request_job

app = command_app()


@app.command()
def backup(
    ctx: typer.Context,
    fraise: Fraise,
    environment: Environment,
    *,
    scheduled: Scheduled = False,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Make a backup, and follow it to its end."""
    job = RequestedJob("backup", fraise, environment, scheduled=scheduled)
    request_job(ctx, job, config, detach=detach, as_json=as_json)

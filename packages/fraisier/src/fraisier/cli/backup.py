"""`fraisier backup`: make a backup, and follow that to its end."""

from __future__ import annotations

import typer

from fraisier.cli.parameters import ConfigFile, Detach, Environment, Fraise, Json, Scheduled, command_app
from fraisier.cli.requested_jobs import RequestedJob, execute_job, require_attended
from fraisier.cli.where import remote_session

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
    if (remote := remote_session(ctx, config)) is not None:
        require_attended(scheduled=scheduled)
        from fraisier.cli.acting import follow_requested

        requested = remote.requests.backup(*remote.usable_environment(fraise, environment))
        follow_requested(remote, requested, detach=detach, as_json=as_json)
        return
    job = RequestedJob("backup", fraise, environment, scheduled=scheduled)
    execute_job(job, config, detach=detach, as_json=as_json)

"""`fraisier cancel`: request that a deployment stops."""

from __future__ import annotations

import typer
from fraisier_core.errors import BusyError
from fraisier_core.store.vocabulary import ENDED

from fraisier.cli.parameters import ConfigFile, DeploymentId, Json, command_app
from fraisier.cli.tables import short_id
from fraisier.cli.where import session_of
from fraisier.terminal import print_json, say

app = command_app()


@app.command()
def cancel(
    ctx: typer.Context, deployment: DeploymentId, as_json: Json = False, config: ConfigFile = None
) -> None:
    """Cancel a pending or running deployment."""
    found = session_of(ctx, config).request_cancel(deployment)
    what = f"deployment {short_id(found.id)} of {found.fraise_id} {found.environment}"
    if found.status in ENDED - {"cancelled"}:
        raise BusyError(f"{what} has already ended: {found.status}")
    if as_json:
        print_json({"id": found.id, "status": found.status, "cancel_requested": True})
    elif found.status == "cancelled":
        say(f"{what} is cancelled")
    else:
        say(f"cancellation of {what} requested; run `fraisier show {short_id(found.id)}` for the outcome")

"""`fraisier resume`: let what was held be deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from fraisier_core.requests.holding import resume as resume_there

from fraisier.cli.parameters import AnyEnvironment, ConfigFile, Fraise, Json, command_app
from fraisier.cli.reporting import warn_without_worker
from fraisier.cli.session import ActingSession
from fraisier.cli.tables import noun, short_id
from fraisier.cli.where import remote_session
from fraisier.terminal import print_json, say, tell

if TYPE_CHECKING:
    from pathlib import Path

    from fraisier_core.store.protocol import DeploymentReader

app = command_app()


@app.command()
def resume(
    ctx: typer.Context,
    fraise: Fraise,
    environment: AnyEnvironment = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Let what was held be deployed."""
    reader, environment = _resumed(ctx, fraise, environment, config)
    holds, states = reader.holds(fraise, environment), reader.status(fraise, environment)
    waiting = [each.deployment_id for each in states if each.pending and each.deployment_id]
    if as_json:
        print_json({"holds": [each._asdict() for each in holds], "waiting": waiting})
        return
    say(f"{' '.join(filter(None, (fraise, environment)))} is resumed")
    for each in holds:
        tell(f"{each.fraise_id} {each.environment} is still {each.text}", "yellow")
    if not holds and waiting:
        for found in map(reader.deployment, waiting):
            say(f"{noun(found.kind)} {short_id(found.id)} of {found.environment} is next")
        warn_without_worker(reader)


def _resumed(
    ctx: typer.Context, fraise: str, environment: str | None, config: Path | None
) -> tuple[DeploymentReader, str | None]:
    """Resume an environment that a word begins, here or from afar; return where to read, and its name."""
    if (remote := remote_session(ctx, config)) is not None:
        reader = remote.existing_reader()
        found = remote.environment(reader, fraise, environment)
        remote.requests.resume(fraise, found)
        return reader, found
    session = ActingSession(config, last_good=True)
    store = session.configured_store()
    found = session.environment(store, fraise, environment)
    resume_there(store, fraise, found, session.user)
    return store, found

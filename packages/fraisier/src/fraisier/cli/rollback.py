"""`fraisier rollback`: return to an earlier release, and follow that to its end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from fraisier_core.errors import InvalidRequestError

from fraisier.cli.parameters import ConfigFile, Detach, Environment, Fraise, Json, command_app, offered
from fraisier.cli.session import ActingSession, fork_early
from fraisier.cli.where import remote_session

if TYPE_CHECKING:
    from fraisier_core.config import Environment as ConfiguredEnvironment
    from fraisier_core.store.protocol import Store
    from fraisier_core.store.records import Request

app = command_app()


@app.command()
def rollback(
    ctx: typer.Context,
    fraise: Fraise,
    environment: Environment,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE",
            help="A release or commit, or a part of it; else the previous one.",
            autocompletion=offered("releases"),
        ),
    ] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Only tell how to restore the backup before the deployment.")
    ] = False,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Roll back to an earlier release that was healthy."""
    if restore:
        from fraisier.cli.way_back import print_way_back

        if to is not None or detach:
            raise InvalidRequestError("--restore rolls nothing back: it takes neither --to nor --detach")
        print_way_back(ctx, fraise, environment, config, as_json=as_json)
        return
    if (remote := remote_session(ctx, config)) is not None:
        from fraisier.cli.acting import follow_requested

        requested = remote.requests.rollback(*remote.usable_environment(fraise, environment), to)
        follow_requested(remote, requested, detach=detach, as_json=as_json)
        return
    process = None if detach else fork_early()
    session = ActingSession(config, last_good=True)
    from fraisier.cli.executing import execute

    found = session.usable_environment(fraise, environment)
    execute(session, found, partial(_request, session, found, to), process=process, as_json=as_json)


def _request(
    session: ActingSession, environment: ConfiguredEnvironment, to: str | None, store: Store
) -> Request:
    from fraisier_core.engine.manual import rollback_request

    what = session.config, session.plugins, store, environment
    return rollback_request(*what, requested_by=session.user, to=to)

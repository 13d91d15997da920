"""`fraisier hold`: keep what is pushed waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from fraisier_core.errors import InvalidRequestError
from fraisier_core.requests.holding import hold as hold_there
from fraisier_core.requests.holding import require_deployed
from fraisier_core.requests.holding import until as ends_at

from fraisier.cli.parameters import AnyEnvironment, ConfigFile, Fraise, Json, command_app
from fraisier.cli.session import ActingSession
from fraisier.cli.tables import noun, short_id
from fraisier.cli.where import remote_session
from fraisier.terminal import print_json, say, tell

if TYPE_CHECKING:
    from pathlib import Path

    from fraisier_core.store.holds import Hold
    from fraisier_core.store.protocol import DeploymentReader

app = command_app()


@app.command()
def hold(
    ctx: typer.Context,
    fraise: Fraise,
    environment: AnyEnvironment = None,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is shown wherever something waits.")],
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="A time or a duration, such as 2h; else until it is resumed."),
    ] = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Keep what is pushed waiting, until it is resumed."""
    ends = None if until is None else ends_at(until)
    if not reason.strip():
        raise InvalidRequestError("--reason says nothing")
    reader, environment = _held(ctx, fraise, environment, config, reason=reason, ends=ends)
    holds = reader.holds(fraise, environment)
    if as_json:
        print_json([each._asdict() for each in holds])
        return
    for each in holds:
        _say_held(each, reason.strip(), ends)
    for running in reader.deployments(fraise, environment):
        if running.status == "running":
            tell(
                f"{noun(running.kind)} {short_id(running.id)} of {running.environment} is running and goes on"
            )


def _say_held(found: Hold, reason: str, ends: str | None) -> None:
    """Say what was held and, if another hold ends later, that one as well."""
    what, own = f"{found.fraise_id} {found.environment}", found._replace(cause="manual", ends_at=ends)
    if (found.cause, found.reason, found.ends_at) == ("manual", reason, ends):
        say(f"{what} is {found.text}", "yellow")
    else:
        say(f"{what} is {own.public_text}: {reason}", "yellow")
        say(f"{what} is also {found.text}", "yellow")


def _held(
    ctx: typer.Context,
    fraise: str,
    environment: str | None,
    config: Path | None,
    *,
    reason: str,
    ends: str | None,
) -> tuple[DeploymentReader, str | None]:
    """Hold an environment that a word begins, here or from afar; return where to read, and its name."""
    if (remote := remote_session(ctx, config)) is not None:
        reader = remote.existing_reader()
        found = remote.environment(reader, fraise, environment)
        remote.requests.hold(fraise, found, reason, ends)
        return reader, found
    session = ActingSession(config, last_good=True)
    store = session.configured_store()
    found = session.environment(store, fraise, environment)
    require_deployed(session.config, fraise)
    hold_there(store, fraise, found, reason=reason, held_by=session.user, ends=ends)
    return store, found

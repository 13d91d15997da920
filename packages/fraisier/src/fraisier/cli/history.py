"""`fraisier history`: the deployments so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from fraisier_core.errors import UnknownNameError
from fraisier_core.requests.holding import holds_of

from fraisier.cli.parameters import AnyEnvironment, AnyFraise, ConfigFile, Json, command_app
from fraisier.cli.sizes import stored_in_words
from fraisier.cli.tables import Cell, print_table, short_commit, short_id, status_cell
from fraisier.cli.times import ago, lasted
from fraisier.cli.where import session_of
from fraisier.terminal import print_json, tell

if TYPE_CHECKING:
    from fraisier_core.store.holds import Hold
    from fraisier_core.store.protocol import DeploymentReader
    from fraisier_core.store.records import Deployment

    from fraisier.cli.any_session import AnySession

TITLES = (
    "ID", "KIND", "STATUS", "FRAISE", "ENVIRONMENT", "COMMIT", "REF", "BY", "WHEN", "TOOK", "MESSAGE",
)  # fmt: skip
FIRST_TO_GO = ("KIND", "BY", "TOOK", "REF", "COMMIT")
app = command_app()


@app.command()
def history(
    ctx: typer.Context,
    fraise: AnyFraise = None,
    environment: AnyEnvironment = None,
    *,
    limit: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="How many.")] = 20,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show the deployments, newest first."""
    session = session_of(ctx, config)
    reader = session.reader()
    found = newest(session, reader, fraise, environment, limit)
    holds = holds_of(found, reader)
    if as_json:
        told = {each: hold._asdict() for each, hold in holds.items()}
        print_json([record._asdict() | {"hold": told.get(record.id)} for record in found])
    elif found:
        print_table(TITLES, [_row(record, holds.get(record.id)) for record in found], FIRST_TO_GO)
    else:
        tell("nothing was ever deployed")


def newest(
    session: AnySession,
    reader: DeploymentReader | None,
    fraise: str | None,
    environment: str | None,
    limit: int,
) -> list[Deployment]:
    """Return the newest deployments of everything, of a fraise or an environment, configured or not."""
    try:
        if fraise is not None:
            environment = session.environment(reader, fraise, environment)
    except UnknownNameError:
        if reader is None or not reader.deployments(fraise, environment, limit=1):
            raise
    return reader.deployments(fraise, environment, limit) if reader else []


def _row(record: Deployment, hold: Hold | None) -> Sequence[Cell | str | None]:
    return (
        short_id(record.id),
        record.kind,
        status_cell(record.status),
        record.fraise_id,
        record.environment,
        short_commit(record.commit_sha),
        record.ref_name,
        record.requested_by or record.trigger,
        ago(record.requested_at),
        lasted(record.duration),
        hold.text if hold else record.error_message or stored_in_words(record),
    )

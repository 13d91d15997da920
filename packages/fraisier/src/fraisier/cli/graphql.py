"""`fraisier graphql`: what the GraphQL API answers to a document, on this host and without the web app."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from fraisier_core.access.gate import Gate
from fraisier_core.engine.manual import ManualActions
from fraisier_core.mount import MountContext

from fraisier.cli.parameters import ConfigFile, command_app
from fraisier.cli.session import ActingSession
from fraisier.exit_codes import ExitCode
from fraisier.late_store import late
from fraisier.terminal import print_json, say

app = command_app()


def _variables(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    raise typer.BadParameter("the variables should be an object of JSON")


@app.command()
def graphql(
    document: Annotated[
        str, typer.Argument(metavar="DOCUMENT", help="A query or a mutation; - takes standard input.")
    ],
    *,
    variables: Annotated[str, typer.Option(metavar="JSON", help="The values of its variables.")] = "{}",
    explain: Annotated[bool, typer.Option("--explain", help="Show the SQL, and change nothing.")] = False,
    config: ConfigFile = None,
) -> None:
    """Answer a document of GraphQL."""
    given = _variables(variables)
    session = ActingSession(config)
    session.require_store()
    text = sys.stdin.read() if document == "-" else document
    mount = session.plugins.mount("graphql")
    answer = mount.ask(_context(session), text, given, session.user, explain=explain)
    if explain:
        say(answer)
        return
    found = json.loads(answer)
    print_json(found)
    if "errors" in found:
        raise typer.Exit(ExitCode.FAILED)


def _context(session: ActingSession) -> MountContext:
    """Return what the mount works with; the store is opened for writing once something is requested."""
    store = late(session.open_store)
    mount = session.plugins.mount("graphql")
    return MountContext(
        mount.settings_model(),
        session.plugins.store(session.place.database).name,
        session.existing_reader,
        ManualActions(session.source, session.plugins, store),
        Gate(session.existing_reader, store),
    )

"""`fraisier logs`: the output of a deployment, as it comes in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from fraisier_core.errors import UnknownNameError
from fraisier_core.store.vocabulary import ENDED
from fraisier_core.text.suggestions import listing

from fraisier.cli.follow import Follower, PlainDisplay
from fraisier.cli.history import newest
from fraisier.cli.parameters import AnyEnvironment, ConfigFile, argument, command_app
from fraisier.cli.tables import short_id
from fraisier.cli.where import session_of
from fraisier.terminal import say, tell

if TYPE_CHECKING:
    from fraisier_core.store.protocol import DeploymentReader
    from fraisier_core.store.records import LogChunk

    from fraisier.cli.any_session import AnySession

ID_PART = re.compile(r"[0-9A-Fa-f-]{4,36}")
FRAISE_OR_ID = "A fraise, for its newest deployment, or a part of a deployment's id."
app = command_app()


@app.command()
def logs(
    ctx: typer.Context,
    fraise: Annotated[str, argument("FRAISE|ID", FRAISE_OR_ID, "fraises_and_deployments")],
    environment: AnyEnvironment = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the deployment ends.")] = False,
    step: Annotated[str | None, typer.Option(metavar="NAME", help="The output of one step.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an event or output a line.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show the output of a deployment, and follow it."""
    session = session_of(ctx, config)
    reader, deployment_id = _deployment(session, fraise, environment)
    changes = session.changes(deployment_id)
    has_ended = (_json_lines if as_json else _text_lines)(reader, deployment_id, step)
    while not next(has_ended) and follow:
        changes.wait()
    shown = reader.deployment(deployment_id)
    what = f"deployment {short_id(shown.id)} of {shown.fraise_id} {shown.environment}"
    known = {each.name for each in reader.steps(deployment_id)}
    if step is not None and step not in known:
        raise UnknownNameError(f"{what} has no step {step!r} (known: {listing(known)})")
    tell(f"{what}: {shown.status}{f': {shown.error_message}' if shown.error_message else ''}")


def _deployment(session: AnySession, name: str, environment: str | None) -> tuple[DeploymentReader, str]:
    """Return the read side, and the id of the deployment that is meant. Raises `UnknownNameError`."""
    reader = session.reader()
    if environment is None and ID_PART.fullmatch(name) and name not in session.names(reader):
        return session.found(name)
    found = newest(session, reader, name, environment, limit=1)
    if reader is None or not found:
        raise UnknownNameError(f"nothing was ever deployed to {' '.join(filter(None, (name, environment)))}")
    return reader, found[0].id


def _text_lines(reader: DeploymentReader, deployment_id: str, step: str | None) -> Iterator[bool]:
    """Print what is new of the steps, and yield whether that was all; only of one step if it is named."""
    follower, display = Follower(reader, deployment_id), PlainDisplay(say)
    while True:
        progress = follower.progress()
        if step is not None:
            steps = [each for each in progress.steps if each.record.name == step]
            progress = replace(progress, steps=steps, remarks=[])
        display.show(progress)
        yield progress.has_ended


def _json_lines(reader: DeploymentReader, deployment_id: str, step: str | None) -> Iterator[bool]:
    """Print what is new of events and output, in the order of their times; yield as `_text_lines` does."""
    event = chunk = 0
    names: dict[tuple[int | None, int | None], str | None] = {}
    while True:
        has_ended = reader.deployment(deployment_id).status in ENDED
        output = reader.log(deployment_id, chunk)
        events = reader.events(event, deployment_id=deployment_id)
        chunk = output[-1].sequence if output else chunk
        event = events[-1].sequence if events else event
        names |= {(each.attempt, each.step_number): each.step for each in events}
        lines = [each._asdict() for each in events]
        lines += [_output_line(each, names.get((each.attempt, each.step_number))) for each in output]
        for line in sorted(lines, key=itemgetter("at")):
            if step in {None, line["step"]}:
                typer.echo(json.dumps(line))
        yield has_ended


def _output_line(chunk: LogChunk, step: str | None) -> dict[str, Any]:
    line = {"event": "output", "step": step, **chunk._asdict()}
    del line["sequence"]
    return line

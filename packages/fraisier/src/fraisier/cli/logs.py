"""`fraisier logs`: the output of a deployment, as it comes in."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from fraisier_core.errors import UnknownNameError
from fraisier_core.store.vocabulary import ENDED
from fraisier_core.text.suggestions import listing

from fraisier.cli.follow import Follower
from fraisier.cli.history import newest
from fraisier.cli.parameters import AnyEnvironment, ConfigFile, command_app, complete_fraise
from fraisier.cli.plain import PlainDisplay
from fraisier.cli.session import Session
from fraisier.cli.tables import short_id
from fraisier.terminal import say, tell

if TYPE_CHECKING:
    from fraisier_core.store.protocol import Reader
    from fraisier_core.store.records import LogChunk

POLL_SECONDS = 0.1
ID_PART = re.compile(r"[0-9a-f-]{4,36}")
app = command_app()


@app.command()
def logs(
    fraise: Annotated[
        str,
        typer.Argument(
            metavar="FRAISE|ID",
            help="A fraise, for its newest deployment, or a part of a deployment's id.",
            autocompletion=complete_fraise,
        ),
    ],
    environment: AnyEnvironment = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the deployment ends.")] = False,
    step: Annotated[str | None, typer.Option(metavar="NAME", help="The output of one step.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an event or output a line.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show the output of a deployment, and follow it."""
    reader, deployment_id = _deployment(Session.read(config), fraise, environment)
    lines = (JsonLines if as_json else TextLines)(reader, deployment_id, step)
    while not lines.show() and follow:
        time.sleep(POLL_SECONDS)
    shown = reader.deployment(deployment_id)
    what = f"deployment {short_id(shown.id)} of {shown.fraise_id} {shown.environment}"
    _require_step(what, step, {each.name for each in reader.steps(deployment_id)})
    tell(f"{what}: {shown.status}")


def _deployment(session: Session, name: str, environment: str | None) -> tuple[Reader, str]:
    """Return the read side, and the id of the deployment that is meant. Raises `UnknownNameError`."""
    if environment is None and name not in session.config.fraises and ID_PART.fullmatch(name):
        return session.found(name)
    reader = session.reader()
    found = newest(session, reader, name, environment, limit=1)
    if reader is None or not found:
        raise UnknownNameError(f"nothing was ever deployed to {' '.join(filter(None, (name, environment)))}")
    return reader, found[0].id


def _require_step(what: str, name: str | None, known: Collection[str]) -> None:
    if name is not None and name not in known:
        raise UnknownNameError(f"{what} has no step {name!r} (known: {listing(known)})")


class TextLines:
    """Prints steps with their output; only one step if named."""

    def __init__(self, reader: Reader, deployment_id: str, step: str | None) -> None:
        self._follower = Follower(reader, deployment_id)
        self._display = PlainDisplay(say)
        self._step = step

    def show(self) -> bool:
        """Print what is new, and return whether that was all."""
        progress = self._follower.progress()
        steps = [each for each in progress.steps if self._step in {None, each.record.name}]
        self._display.show(replace(progress, steps=steps))
        return progress.has_ended


class JsonLines:
    """Prints events and output, an object a line, in the order of their times; only of a step if named."""

    def __init__(self, reader: Reader, deployment_id: str, step: str | None) -> None:
        self._reader = reader
        self._id = deployment_id
        self._step = step
        self._names: dict[tuple[int | None, int | None], str | None] = {}
        self._event = 0
        self._chunk = 0

    def show(self) -> bool:
        """Print what is new, and return whether that was all."""
        has_ended = self._reader.deployment(self._id).status in ENDED
        chunks = self._reader.log(self._id, self._chunk)
        events = self._reader.events(self._event, deployment_id=self._id)
        self._chunk = chunks[-1].sequence if chunks else self._chunk
        self._event = events[-1].sequence if events else self._event
        self._names |= {(each.attempt, each.step_number): each.step for each in events}
        for line in sorted(
            [*(each._asdict() for each in events), *map(self._output, chunks)], key=itemgetter("at")
        ):
            if self._step in {None, line["step"]}:
                typer.echo(json.dumps(line))
        return has_ended

    def _output(self, chunk: LogChunk) -> dict[str, Any]:
        step = self._names.get((chunk.attempt, chunk.step_number))
        output = {"event": "output", "step": step, **chunk._asdict()}
        del output["sequence"]
        return output

"""`fraisier show`: one deployment with its steps and their output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from fraisier_core.requests.holding import hold_of
from fraisier_core.store.vocabulary import KINDS

from fraisier.cli.follow import FollowedStep, Follower, Remark
from fraisier.cli.parameters import ConfigFile, DeploymentId, Json, command_app
from fraisier.cli.sizes import stored_in_words
from fraisier.cli.tables import GAP, Cell, print_facts, print_text, status_cell
from fraisier.cli.times import ago, lasted
from fraisier.cli.where import session_of
from fraisier.terminal import print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fraisier_core.store.events import Untold
    from fraisier_core.store.holds import Hold
    from fraisier_core.store.records import Deployment

app = command_app()


@app.command()
def show(
    ctx: typer.Context, deployment: DeploymentId, as_json: Json = False, config: ConfigFile = None
) -> None:
    """Show a deployment with its steps and their output."""
    reader, deployment_id = session_of(ctx, config).found(deployment)
    progress = Follower(reader, deployment_id).progress()
    shown = progress.deployment
    awaited = reader.awaited(shown) if shown.status == "pending" else None
    hold, untold = hold_of(shown, reader), reader.untold(deployment_id)
    if as_json:
        steps = [step.record._asdict() | {"output": step.output} for step in progress.steps]
        facts = {"waits_for": awaited, "steps": steps, "untold": [each._asdict() for each in untold]}
        print_json(shown._asdict() | {"hold": hold and hold._asdict()} | facts)
        return
    _print_deployment(shown, awaited and f"{reader.deployment(awaited).kind} {awaited}", hold, untold)
    for each in progress.in_order():
        if isinstance(each, Remark):
            say("")
            print_text(each.text, colour="yellow")
        else:
            _print_step(each)


def _arguments(record: Deployment) -> str | None:
    if not record.arguments:
        return None
    from shlex import join

    return join(record.arguments)


def _print_deployment(
    record: Deployment, awaited: str | None, hold: Hold | None, untold: Sequence[Untold]
) -> None:
    print_facts(
        f"deployment {record.id}",
        [
            ("what", f"{record.kind} of {record.fraise_id} {record.environment}"),
            ("arguments", _arguments(record)),
            ("status", status_cell(record.status)),
            ("waits for", awaited),
            ("waits", Cell(hold and hold.text, "yellow")),
            ("overrides", record.overridden_hold),
            ("message", record.error_message),
            ("commit", record.commit_sha),
            ("ref", record.ref_name),
            ("release", record.release),
            ("before", record.previous_release),
            ("stored" if KINDS[record.kind].stores else "tested", stored_in_words(record)),
            ("SHA-256", record.stored_sha256),
            ("left to do", Cell(record.stored_problem, "yellow")),
            ("requested", f"{ago(record.requested_at)} by {record.requested_by or record.trigger}"),
            ("for", record.requested_for),
            ("started", ago(record.started_at)),
            ("took", lasted(record.duration)),
            ("superseded by", record.superseded_by),
            ("attempt", str(record.attempt) if record.attempt > 1 else None),
            *(
                ("not told", Cell(f"{each.observer}, {each.event}: {each.problem}", "yellow"))
                for each in untold
            ),
        ],
    )


def _print_step(step: FollowedStep) -> None:
    record = step.record
    say(f"\n{record.name}: {record.status}, {lasted(record.duration)}", status_cell(record.status).colour)
    for line in step.output.splitlines():
        say(f"  {line}")
    if record.message:
        print_text(record.message, GAP)

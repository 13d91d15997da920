"""`fraisier history` and `fraisier show`: what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fraisier_core.errors import UnknownNameError
from fraisier_core.store.records import Deployment, LogChunk, Step

from fraisier.cli.session import Session
from fraisier.cli.tables import Cell, print_facts, print_table, short_commit, short_id, status_cell
from fraisier.cli.times import ago, lasted, utc
from fraisier.terminal import print_json, say, tell

TITLES = (
    "ID", "KIND", "STATUS", "FRAISE", "ENVIRONMENT", "COMMIT", "REF", "BY", "WHEN", "TOOK", "MESSAGE",
)  # fmt: skip


def show_history(
    file: Path | None, fraise: str | None, environment: str | None, limit: int, *, as_json: bool
) -> None:
    """Show the newest deployments first."""
    session = Session.start(file)
    found = _deployments(session, fraise, environment, limit)
    if as_json:
        print_json([asdict(record) for record in found])
        return
    if not found:
        tell("nothing was ever deployed")
        return
    print_table(TITLES, [_row(record) for record in found])


def show_deployment(file: Path | None, id_part: str, *, as_json: bool) -> None:
    """Show one deployment with its steps and their output."""
    history = Session.start(file).reader()
    if history is None:
        raise UnknownNameError(f"there is no deployment {id_part}: nothing was ever deployed")
    deployment_id = history.find(id_part)
    record, steps = history.deployment(deployment_id), history.steps(deployment_id)
    output = _output(history.log(deployment_id))
    if as_json:
        written = [asdict(step) | {"output": output.get((step.attempt, step.number), "")} for step in steps]
        print_json(asdict(record) | {"steps": written})
        return
    _print_deployment(record)
    for step in steps:
        _print_step(step, output.get((step.attempt, step.number), ""))


def _deployments(
    session: Session, fraise: str | None, environment: str | None, limit: int
) -> list[Deployment]:
    history = session.reader()
    try:
        fraise, environment = _names(session, fraise, environment)
    except UnknownNameError:
        # What left the configuration still has its history, under its full name.
        if history and (found := history.deployments(fraise, environment, limit)):
            return found
        raise
    return history.deployments(fraise, environment, limit) if history else []


def _names(session: Session, fraise: str | None, environment: str | None) -> tuple[str | None, str | None]:
    if fraise is None:
        return None, None
    if environment is None:
        return session.config.fraise(fraise).name, None
    return fraise, session.config.environment(fraise, environment).name


def _row(record: Deployment) -> Sequence[Cell | str | None]:
    return (
        short_id(record.id),
        record.kind,
        status_cell(record.status),
        record.fraise_id,
        record.environment,
        short_commit(record.commit_sha),
        record.ref_name,
        record.requested_by,
        ago(record.requested_at, utc()),
        lasted(record.duration),
        record.error_message,
    )


def _print_deployment(record: Deployment) -> None:
    now = utc()
    print_facts(
        f"deployment {record.id}",
        [
            ("what", f"{record.kind} of {record.fraise_id} {record.environment}"),
            ("status", status_cell(record.status)),
            ("message", record.error_message),
            ("commit", record.commit_sha),
            ("ref", record.ref_name),
            ("release", record.release),
            ("before", record.previous_release),
            ("requested", f"{ago(record.requested_at, now)} by {record.requested_by or record.trigger}"),
            ("started", ago(record.started_at, now) if record.started_at else None),
            ("took", lasted(record.duration) if record.duration is not None else None),
            ("superseded by", record.superseded_by),
            ("attempt", str(record.attempt) if record.attempt > 1 else None),
        ],
    )


def _print_step(step: Step, output: str) -> None:
    say(f"\n{step.name}: {step.status}, {lasted(step.duration)}", status_cell(step.status).colour)
    for line in output.splitlines():
        say(f"  {line}")
    if step.message:
        say(f"  {step.message}")


def _output(chunks: Sequence[LogChunk]) -> dict[tuple[int, int], str]:
    """Return the output of each step, by attempt and number."""
    output: dict[tuple[int, int], str] = {}
    for chunk in chunks:
        left_out = f"[{chunk.dropped} bytes left out]\n" if chunk.dropped else ""
        step = (chunk.attempt, chunk.step_number)
        output[step] = output.get(step, "") + left_out + chunk.text
    return output

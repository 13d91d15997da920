"""`fraisier backups`: what becomes of backups that were made."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fraisier.cli.parameters import (
    AnyEnvironment,
    AnyFraise,
    ConfigFile,
    Detach,
    Environment,
    Fraise,
    Json,
    Scheduled,
    argument,
    command_app,
    offered,
)
from fraisier.cli.where import require_host

app = command_app(groups="List, verify, restore, prune and test backups.")
Name = Annotated[
    str | None, argument("NAME", "A backup, or a part of its name; `latest` is the newest.", "backup_names")
]
_TARGET = "A new or empty database, by name or URL, or a new path; ${NAME} is the variable of that name."
_WHENCE = "Where the copy is taken from; else the first place that has one."
_REPLACE = "The name of a target that is not empty: that is backed up, and replaced."


def _place(option: str, text: str) -> Any:
    return typer.Option(option, metavar="PLACE", help=text, autocompletion=offered("backup_places"))


@app.callback()
def backups() -> None:
    """List, verify, restore, prune and test backups."""


@app.command("list")
def list_copies(
    ctx: typer.Context,
    fraise: AnyFraise = None,
    environment: AnyEnvironment = None,
    *,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the copies of backups, and why each is kept."""
    require_host(ctx, config)
    from fraisier.cli.backup_listing import list_backups

    list_backups(fraise, environment, config, as_json=as_json)


@app.command()
def verify(
    ctx: typer.Context,
    fraise: Fraise,
    environment: Environment,
    name: Name = None,
    *,
    place: Annotated[str | None, _place("--place", "Only the copies there.")] = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Compare the size and checksum of every copy, where it lies."""
    require_host(ctx, config)
    from fraisier.cli.backup_session import backup_session
    from fraisier.cli.backup_showing import verify_backups

    session = backup_session(config, fraise, environment, quiet=as_json)
    verify_backups(session, name, place, as_json=as_json)


@app.command()
def restore(
    ctx: typer.Context,
    fraise: Fraise,
    environment: Environment,
    name: Name = None,
    *,
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help=_TARGET)],
    place: Annotated[str | None, _place("--from", _WHENCE)] = None,
    replace: Annotated[str | None, typer.Option("--replace", metavar="NAME", help=_REPLACE)] = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Restore a backup into a new or empty target."""
    require_host(ctx, config)
    from fraisier.cli.backup_session import backup_session
    from fraisier.cli.backup_showing import restore_backup

    needs_record = replace is not None
    session = backup_session(config, fraise, environment, quiet=as_json, needs_record=needs_record)
    restore_backup(session, name, to, place=place, replace=replace, as_json=as_json)


@app.command()
def prune(
    ctx: typer.Context,
    fraise: Fraise,
    environment: Environment,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Delete the copies that `keep:` no longer keeps."""
    require_host(ctx, config)
    from fraisier.cli.backup_session import backup_session
    from fraisier.cli.backup_showing import prune_backups

    session = backup_session(config, fraise, environment, quiet=as_json, needs_record=True)
    prune_backups(session, dry_run=dry_run, as_json=as_json)


@app.command("test")
def restore_as_test(
    ctx: typer.Context,
    fraise: Fraise,
    environment: Environment,
    *,
    scheduled: Scheduled = False,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Restore the newest backup as a test, and follow that to its end."""
    from fraisier.cli.requested_jobs import RequestedJob, request_job

    job = RequestedJob("restore_test", fraise, environment, scheduled=scheduled)
    request_job(ctx, job, config, detach=detach, as_json=as_json)

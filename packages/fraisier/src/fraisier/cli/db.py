"""`fraisier db`: the upkeep of the store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from fraisier_core.errors import InvalidRequestError, OutdatedStoreError, StoreError, UnreachableStoreError

from fraisier.cli.parameters import ConfigFile, Json, command_app
from fraisier.cli.session import Session
from fraisier.exit_codes import ExitCode
from fraisier.terminal import print_json, say, tell

if TYPE_CHECKING:
    from fraisier_core.store.tables import Contents

app = command_app(groups="Maintain the store.")
Backup = Annotated[Path, typer.Argument(metavar="FILE", help="The backup, an SQLite file.")]
_URL = "a URL as of `database.url`; ${NAME} is the variable of that name."
From = Annotated[
    str | None, typer.Option("--from", metavar="URL", help=f"Whence, {_URL}  [default: database.url]")
]


@app.command()
def migrate(config: ConfigFile = None, as_json: Json = False) -> None:
    """Bring the store up to this version, or create it."""
    session = Session.read(config)
    applied = session.open_store().migrated
    if as_json:
        print_json({"database": session.place.shown, "applied": applied})
    elif applied:
        say(f"{session.place.shown}: applied {', '.join(applied)}")
    else:
        say(f"{session.place.shown}: nothing to do")


@app.command()
def status(config: ConfigFile = None, as_json: Json = False) -> None:
    """Show where the store is, and how much it holds."""
    session = Session.read(config)
    try:
        reader = session.existing_reader()
    except OutdatedStoreError as error:
        _show({"database": session.place.shown, "pending": error.pending}, as_json=as_json)
        raise
    contents = reader.contents()
    closed = contents.closed()
    facts = {
        "database": session.place.shown,
        **contents.summary()._asdict(),
        "pending": [],
        "live_workers": reader.live_workers(),
        "retention": session.configured.retention.model_dump() if session.configured else None,
        "closed": closed.message if closed else None,
    }
    _show(facts, as_json=as_json)


def _show(facts: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        say(f"{name.replace('_', ' ') + ':':19}{_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, dict):
        value = [f"{name} {_span(seconds)}" for name, seconds in value.items()]
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return "-" if text in {None, ""} else str(text)


def _span(seconds: float | None) -> str:
    """Return a span as it is written in the configuration."""
    if seconds is None:
        return "for ever"
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    unit = next((unit for unit, size in units.items() if seconds % size == 0), "s")
    return f"{seconds / units[unit]:g}{unit}"


@app.command()
def check(config: ConfigFile = None, as_json: Json = False) -> None:
    """Check that the record is whole; nothing is changed."""
    from fraisier_core.store.checking import faults

    from fraisier.cli.progress import Progress, quiet

    session = Session.read(config)
    contents = _contents(session, as_json=as_json)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for fault in faults(contents, Path(folder), quiet if as_json else Progress()):
            found.append(fault)
            if not as_json:
                say(fault)
    if as_json:
        print_json({"database": session.place.shown, "faults": found})
    elif not found:
        say(f"{session.place.shown}: whole")
    if found:
        raise typer.Exit(ExitCode.STORE)


def _contents(session: Session, *, as_json: bool) -> Contents:
    """Return what is to be checked. If it is too damaged to be opened, that is the one fault."""
    try:
        return session.existing_reader().contents()
    except (OutdatedStoreError, UnreachableStoreError):
        raise
    except StoreError as error:
        if as_json:
            print_json({"database": session.place.shown, "faults": [str(error)]})
        raise


@app.command()
def backup(
    file: Backup,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    config: ConfigFile = None,
) -> None:
    """Back the record up, while everything runs."""
    from fraisier.backups import back_up
    from fraisier.cli.progress import Progress

    file = file.absolute()
    session = Session.read(config)
    back_up(session.existing_reader().contents(), file, Progress(), force=force)
    say(f"{file}: a backup of {session.place.shown}")


@app.command()
def restore(file: Backup, config: ConfigFile = None) -> None:
    """Restore a backup into an empty store."""
    from fraisier.backups import restore as restore_backup
    from fraisier.cli.progress import Progress

    file = file.absolute()
    session = Session.read(config)
    interrupted = restore_backup(file, session.open_store, Progress())
    say(f"{session.place.shown}: restored from {file}; interrupted: {interrupted}")


@app.command()
def copy(
    to: Annotated[str | None, typer.Option("--to", metavar="URL", help=f"Whither, {_URL}")] = None,
    source: From = None,
    abort: Annotated[bool, typer.Option("--abort", help="Let the source be written again.")] = False,
    config: ConfigFile = None,
) -> None:
    """Move the record to another database; run again, it goes on."""
    from fraisier.cli.moving import abort_move, move

    session = Session.read(config)
    if (to is None) is not abort:
        raise InvalidRequestError("name either whither to copy, --to URL, or --abort")
    if to is None:
        abort_move(session, source)
    else:
        move(session, source, to)


@app.command()
def rebuild(config: ConfigFile = None) -> None:
    """Rebuild every deployment from its recorded events."""
    session = Session.read(config)
    session.require_store()
    session.open_store().rebuild()
    tell("rebuilt from the events")

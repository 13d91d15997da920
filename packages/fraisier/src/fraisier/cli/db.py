"""`fraisier db`: the upkeep of the store."""

from __future__ import annotations

from fraisier.cli.parameters import ConfigFile, Json, command_app
from fraisier.cli.session import Session
from fraisier.terminal import print_json, say, tell

app = command_app(groups="Maintain the store.")


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
def rebuild(config: ConfigFile = None) -> None:
    """Rebuild every deployment from its recorded events."""
    session = Session.read(config)
    session.require_store()
    session.open_store().rebuild()
    tell("rebuilt from the events")

"""`fraisier notify`: whether notifications arrive."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from fraisier.cli.parameters import ConfigFile, Json, argument, command_app
from fraisier.exit_codes import ExitCode
from fraisier.terminal import print_json, say, tell

if TYPE_CHECKING:
    from fraisier_core.config import Config
    from fraisier_core.plugins import Plugins

OBSERVER = "notify"
Notified = Annotated[str | None, argument("NAME", "A name of `notify:`; without it, all.", "notified")]
app = command_app(groups="Test whether notifications arrive.")


@app.callback()
def notify() -> None:
    """Test whether notifications arrive."""


@app.command("test")
def send(name: Notified = None, as_json: Json = False, config: ConfigFile = None) -> None:
    """Send a test message, and show where it arrived."""
    from fraisier_core.config import find_config, load_config
    from fraisier_core.errors import ConfigurationError
    from fraisier_core.plugins import Plugins
    from fraisier_core.system.processes import forbid_dumps

    forbid_dumps()
    plugins = Plugins.installed()
    loaded = load_config(find_config(config), plugins, parts={"observers"})
    observers = loaded.observers
    observer = plugins.observer(OBSERVER)
    if OBSERVER in observers.missing:
        raise ConfigurationError([observers.missing[OBSERVER]])
    settings = observers.active.get(OBSERVER)
    problems = observer.send_sample(settings, [name] if name else []) if settings else {}
    if not problems:
        raise ConfigurationError([f"{loaded.path}: notify: names nobody to notify"])
    if as_json:
        print_json([{"name": each, "problem": problem or None} for each, problem in problems.items()])
    else:
        for each, problem in problems.items():
            say(f"{each}: {problem or 'sent'}", "red" if problem else None)
        _warn_without_worker(loaded, plugins)
    raise typer.Exit(ExitCode.FAILED if any(problems.values()) else ExitCode.SUCCESS)


def _warn_without_worker(config: Config, plugins: Plugins) -> None:
    """Say so if nothing would be sent now: it is the worker that notifies."""
    from fraisier_core.errors import StoreError

    from fraisier.cli.session import Session
    from fraisier.cli.status import NOBODY_TOLD

    try:
        reader = Session(config.place, plugins).reader()
    except StoreError:
        return  # whoever may not read the record is told nothing about it
    if reader is None:
        tell(NOBODY_TOLD, "yellow")
        return
    with closing(reader):
        if not reader.live_workers():
            tell(NOBODY_TOLD, "yellow")

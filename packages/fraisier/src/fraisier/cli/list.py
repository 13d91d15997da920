"""`fraisier list`: the configured fraises and environments."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fraisier.cli.parameters import ConfigFile, Json, command_app
from fraisier.cli.tables import Cell, print_table
from fraisier.cli.where import remote_session
from fraisier.terminal import print_json, tell

if TYPE_CHECKING:
    from fraisier_core.config import Environment, Fraise
    from fraisier_core.store.holds import Hold

    from fraisier.cli.remote_session import RemoteSession

app = command_app()


@app.command("list")
def list_environments(ctx: typer.Context, config: ConfigFile = None, as_json: Json = False) -> None:
    """List the configured fraises and environments."""
    remote = remote_session(ctx, config)
    listed = _configured(config) if remote is None else _configured_there(remote)
    holds = _holds(config) if remote is None else remote.existing_reader().holds()
    held = {(each.fraise_id, each.environment): each for each in holds}
    for each in listed:
        hold = held.get((each["fraise_id"], each["environment"]))
        each["hold"] = hold and hold._asdict()
    if as_json:
        print_json(listed)
        return
    titles = ("FRAISE", "ENVIRONMENT", "TYPE", "NAME", "BRANCH", "DESCRIPTION")
    print_table(titles, [_row(each) for each in listed], ("NAME", "BRANCH", "TYPE"))
    for problem in sorted({each["problem"] for each in listed if each["problem"]}):
        tell(problem, "red")
    for (fraise, environment), hold in held.items():
        tell(f"{fraise} {environment} is {hold.text}", "yellow")


def _holds(config: Path | None) -> list[Hold]:
    """Return what is held; nothing if this user may not read the store, or there is none yet."""
    from fraisier_core.config import find_config, place_of_store
    from fraisier_core.errors import FraisierError
    from fraisier_core.plugins import Plugins

    from fraisier.cli.session import Session

    plugins = Plugins.installed()
    try:
        reader = Session(place_of_store(find_config(config), plugins), plugins).reader()
        return reader.holds() if reader else []
    except FraisierError:
        return []


def _configured(config: Path | None) -> list[dict[str, Any]]:
    from fraisier_core.config import find_config, load_config
    from fraisier_core.plugins import PROVIDERS, Plugins

    plugins = Plugins.installed()
    loaded = load_config(find_config(config), plugins)
    if missing := provider_to_install(loaded.git.default, plugins.names(PROVIDERS)):
        tell(missing, "yellow")
    fraises = loaded.fraises.values()
    return [_listed(fraise, each) for fraise in fraises for each in fraise.environments.values()]


def _configured_there(remote: RemoteSession) -> list[dict[str, Any]]:
    return [
        {
            "fraise_id": fraise["id"],
            "environment": each["environment"],
            "type": fraise["type"],
            "name": each["name"],
            "description": fraise["description"] or None,
            "branch": each["branch"],
            "app_path": each["appPath"],
            "problem": fraise["problem"],
        }
        for fraise in remote.fraises
        for each in fraise["environments"]
    ]


def provider_to_install(wanted: str | None, installed: Collection[str]) -> str | None:
    """Return what to install before a push can deploy anything, if `git.provider` wants a provider."""
    from fraisier_core.plugins import PROVIDERS

    if wanted is not None and wanted not in installed:
        return f"git.provider: {wanted} is not installed; {PROVIDERS.advice(wanted)}"
    if not installed:
        return (
            "no Git provider is installed, so no push can deploy anything; install the one of your forge: "
            f"{PROVIDERS.advice('github')}, or fraisier-gitlab, fraisier-bitbucket,"
            " or fraisier-gitea (Forgejo, Gogs)"
        )
    return None


def _row(listed: dict[str, Any]) -> list[Cell | str | None]:
    keys = ("fraise_id", "environment", "type", "name", "branch", "description")
    colour = "red" if listed["problem"] else None
    return [Cell(listed[key], colour if key == "type" else None) for key in keys]


def _listed(fraise: Fraise, environment: Environment) -> dict[str, Any]:
    return {
        "fraise_id": fraise.name,
        "environment": environment.name,
        "type": fraise.type,
        "name": environment.title,
        "description": fraise.description or None,
        "branch": environment.branch,
        "app_path": str(environment.app_path) if environment.app_path else None,
        "problem": fraise.problem,
    }

"""The tree of commands: each is the `app` of the module of its name, imported when it is called."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fraisier.cli.parameters import ConfigFile

COMMANDS = {
    "list": "List the configured fraises and environments.",
    "deploy": "Deploy, and follow it to its end.",
    "run": "Run a job, and follow it to its end.",
    "backup": "Make a backup, and follow it to its end.",
    "backups": "List, verify, restore, prune and test backups.",
    "status": "Show the serving release, and how the last deployment ended.",
    "history": "Show the deployments, newest first.",
    "show": "Show a deployment with its steps and their output.",
    "logs": "Show the output of a deployment, and follow it.",
    "rollback": "Roll back to an earlier release that was healthy.",
    "cancel": "Cancel a pending or running deployment.",
    "hold": "Keep what is pushed waiting, until it is resumed.",
    "resume": "Let what was held be deployed.",
    "reconcile": "Show which pushes were missed, and deploy them.",
    "webhooks": "Show what forges delivered, and explain what became of it.",
    "notify": "Test whether notifications arrive.",
    "graphql": "Answer a document of GraphQL.",
    "plugins": "Show the installed plugins, and why one cannot be used.",
    "config": "Check the configuration, and install the units of its jobs.",
    "db": "Maintain the store.",
    "token": "Make and revoke the tokens of clients, and show what they did.",
    "worker": "Execute queued deployments until SIGTERM.",
}


FROM_AFAR = frozenset(
    {
        "list",
        "deploy",
        "run",
        "backup",
        "backups",
        "status",
        "history",
        "show",
        "logs",
        "rollback",
        "cancel",
        "hold",
        "resume",
    }
)
"""The commands that `--url` is for."""


class Tree(TyperGroup):
    """The root of the tree, which knows its commands by name and help alone."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command and its arguments, as click asks for them."""
        name, _, arguments = super().resolve_command(ctx, args)
        if ctx.params.get("_url") and name not in FROM_AFAR and not {"-h", "--help"} & {*arguments}:
            from fraisier_core.errors import RemoteError

            raise RemoteError(f"`fraisier {name}` works on the host alone: run it there, without --url")
        return name, load_command(str(name)), arguments


def load_command(name: str) -> Any:
    """Return a command of `COMMANDS` with its arguments, or its own commands."""
    return typer.main.get_command(import_module(f"fraisier.cli.{name}").app)


def _remote(option: str, variable: str, metavar: str, text: str) -> Any:
    """Return an option that says which Fraisier on another machine is meant; else a variable does."""
    help_text = f"{text}; else ${variable}."
    return typer.Option(option, envvar=variable, show_envvar=False, metavar=metavar, help=help_text)


def _not_loaded() -> None:
    """Stand in for a command in the help of the tree."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"fraisier {version('fraisier')}")
        raise typer.Exit


app = typer.Typer(
    cls=Tree,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(_not_loaded)


@app.callback()
def fraisier(
    config: ConfigFile = None,
    _url: Annotated[
        str | None, _remote("--url", "FRAISIER_URL", "URL", "A Fraisier on another machine")
    ] = None,
    _token_file: Annotated[
        Path | None, _remote("--token-file", "FRAISIER_TOKEN_FILE", "FILE", "The file with its token")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Deploy the fraises that fraises.yaml configures."""

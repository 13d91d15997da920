"""The commands and their arguments. Each imports what it needs, so that `--help` and completion stay fast."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from fraisier.cli.completion import complete_environment, complete_fraise

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Check the configuration.", no_args_is_help=True, rich_markup_mode=None)
db_app = typer.Typer(help="Maintain the store.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(config_app, name="config")
app.add_typer(db_app, name="db")

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration; else $FRAISIER_CONFIG, ./fraises.yaml or /etc/fraisier/fraises.yaml.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Detach = Annotated[bool, typer.Option("--detach", help="Leave it to a worker, and print its id.")]
Fraise = Annotated[str, typer.Argument(metavar="FRAISE", help="A fraise.", autocompletion=complete_fraise)]
Environment = Annotated[
    str,
    typer.Argument(
        metavar="ENV", help="Its environment, or the beginning of it.", autocompletion=complete_environment
    ),
]
AnyFraise = Annotated[
    str | None,
    typer.Argument(metavar="FRAISE", help="A fraise; without it, all.", autocompletion=complete_fraise),
]
AnyEnvironment = Annotated[
    str | None,
    typer.Argument(
        metavar="ENV", help="Its environment; without it, all.", autocompletion=complete_environment
    ),
]
DeploymentId = Annotated[
    str, typer.Argument(metavar="DEPLOYMENT", help="The beginning or the end of a deployment's id.")
]


def _commit(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[0-9a-fA-F]{4,64}", text):
        raise typer.BadParameter("a commit is 4 to 64 hexadecimal digits; --branch takes a branch")
    return text


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"fraisier {version('fraisier')}")
        raise typer.Exit


def _defaults(given: dict[str, str]) -> dict[str, object]:
    """Return what was given before the command as the default of every command."""
    commands = dict.fromkeys((command.name or "" for command in app.registered_commands), given)
    groups = {group: dict.fromkeys(("check", "rebuild"), given) for group in ("config", "db")}
    return {**commands, **groups}


@app.callback()
def fraisier(
    ctx: typer.Context,
    config: ConfigFile = None,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Deploy the fraises that fraises.yaml configures."""
    if config is not None:
        ctx.default_map = _defaults({"config": str(config)})


@app.command("list")
def list_(config: ConfigFile = None, as_json: Json = False) -> None:
    """List the configured fraises and environments."""
    from fraisier.cli.configured import show_list

    show_list(config, as_json=as_json)


@app.command("deploy")
def deploy(
    fraise: Fraise,
    environment: Environment,
    *,
    commit: Annotated[
        str | None,
        typer.Option(metavar="SHA", callback=_commit, help="A commit, or the beginning of its id."),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The newest commit of a branch; else of the environment's own."),
    ] = None,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Deploy, and follow it to its end."""
    if commit and branch:
        raise typer.BadParameter("give --commit or --branch, not both")
    from fraisier.cli import deploying

    raise typer.Exit(
        deploying.deploy(config, fraise, environment, commit, branch, detach=detach, as_json=as_json)
    )


@app.command("rollback")
def rollback(
    fraise: Fraise,
    environment: Environment,
    *,
    to: Annotated[
        str | None,
        typer.Option(metavar="RELEASE", help="A release or commit, or its beginning; else the one before."),
    ] = None,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Roll back to an earlier release that was healthy."""
    from fraisier.cli.deploying import roll_back

    raise typer.Exit(roll_back(config, fraise, environment, to, detach=detach, as_json=as_json))


@app.command("cancel")
def cancel(deployment: DeploymentId, as_json: Json = False, config: ConfigFile = None) -> None:
    """Cancel a pending or running deployment."""
    from fraisier.cli import deploying

    deploying.cancel(config, deployment, as_json=as_json)


@app.command("status")
def status(
    fraise: AnyFraise = None,
    environment: AnyEnvironment = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show the serving release, and how the last deployment ended."""
    from fraisier.cli.status import show_status

    show_status(config, fraise, environment, as_json=as_json)


@app.command("history")
def history(
    fraise: AnyFraise = None,
    environment: AnyEnvironment = None,
    limit: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="How many.")] = 20,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show the deployments, newest first."""
    from fraisier.cli.history import show_history

    show_history(config, fraise, environment, limit, as_json=as_json)


@app.command("show")
def show(deployment: DeploymentId, as_json: Json = False, config: ConfigFile = None) -> None:
    """Show a deployment with its steps and their output."""
    from fraisier.cli.history import show_deployment

    show_deployment(config, deployment, as_json=as_json)


@app.command("plugins")
def plugins(as_json: Json = False) -> None:
    """Show the installed plugins, and why one cannot be used."""
    from fraisier.cli.configured import show_plugins

    show_plugins(as_json=as_json)


@app.command("worker")
def worker(
    slots: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="How many may run at once.")] = 2,
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long they may finish after SIGTERM.")
    ] = 25.0,
    config: ConfigFile = None,
    supervisor_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Execute queued deployments until SIGTERM."""
    from fraisier.cli.work import run_worker

    run_worker(config, slots, grace, supervisor_fd)


@config_app.command("check")
def config_check(config: ConfigFile = None, as_json: Json = False) -> None:
    """Validate the whole configuration, and show every problem."""
    from fraisier.cli.configured import check_config

    check_config(config, as_json=as_json)


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from fraisier.cli.configured import print_schema

    print_schema()


@db_app.command("rebuild")
def db_rebuild(config: ConfigFile = None) -> None:
    """Rebuild every deployment from its recorded events."""
    from fraisier.cli.work import rebuild_database

    rebuild_database(config)

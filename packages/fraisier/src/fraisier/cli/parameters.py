"""What commands have in common: how they look, and the arguments that several of them take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fraisier.cli.completion import complete_environment, complete_fraise


def command_app(*, groups: str | None = None) -> typer.Typer:
    """Return an empty command.

    Args:
        groups: the help of a command that has commands of its own.
    """
    return typer.Typer(
        help=groups, no_args_is_help=groups is not None, add_completion=False, rich_markup_mode=None
    )


def _given(ctx: typer.Context, file: Path | None) -> Path | None:
    """Return the configuration file given here, else the one given before the command."""
    if file is not None:
        ctx.obj = file
    given: Path | None = ctx.obj
    return given


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        callback=_given,
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

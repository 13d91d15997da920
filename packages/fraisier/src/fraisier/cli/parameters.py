"""What commands have in common: how they look, and their arguments."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer


def command_app(*, groups: str | None = None) -> typer.Typer:
    """Return an empty command; `groups` is the help of one that has commands of its own."""
    return typer.Typer(
        help=groups,
        no_args_is_help=groups is not None,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _given(ctx: typer.Context, file: Path | None) -> Path | None:
    """Return the configuration file given here, else the one given before the command."""
    given: Path | None = file or ctx.obj
    ctx.obj = given
    return given


def offered(name: str) -> Callable[[typer.Context, str], Any]:
    """Return a function of `completion`, which only completing imports."""

    def complete(ctx: typer.Context, incomplete: str) -> Any:
        return getattr(import_module("fraisier.cli.completion"), name)(ctx, incomplete)

    return complete


def argument(metavar: str, text: str, complete: str) -> Any:
    """Return an argument; what that function of `completion` returns is offered if the word begins it."""
    return typer.Argument(metavar=metavar, help=text, autocompletion=offered(complete))


_WHICH_FILE = "The configuration; else $FRAISIER_CONFIG, ./fraises.yaml or /etc/fraisier/fraises.yaml."
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="FILE", callback=_given, help=_WHICH_FILE)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Detach = Annotated[bool, typer.Option("--detach", help="Leave it to a worker, and print its id.")]
Scheduled = Annotated[bool, typer.Option("--scheduled", hidden=True)]
Fraise = Annotated[str, argument("FRAISE", "A fraise.", "fraises")]
AnyFraise = Annotated[str | None, argument("FRAISE", "A fraise; without it, all.", "fraises")]
Environment = Annotated[str, argument("ENV", "Its environment, or the beginning of it.", "environments")]
AnyEnvironment = Annotated[str | None, argument("ENV", "Its environment; without it, all.", "environments")]
DeploymentId = Annotated[str, argument("DEPLOYMENT", "A part of a deployment's id.", "deployments")]
AnyProvider = Annotated[
    str | None, argument("PROVIDER", "A section of `git:`; else the one of `git.provider`.", "providers")
]
DeliveryId = Annotated[str, argument("DELIVERY", "A part of a delivery's id.", "deliveries")]

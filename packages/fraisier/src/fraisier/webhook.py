"""The `fraisier-webhook` command: the web app, and unless told otherwise one worker beside it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fraisier.exit_codes import explain_errors

if TYPE_CHECKING:
    from fraisier_core.config import Config

SHUTDOWN_SECONDS = 5

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def serve(
    config: Annotated[
        Optional[Path],  # noqa: UP007, UP045 - read by typer
        typer.Option("--config", "-c", envvar="FRAISIER_CONFIG", help="The configuration file."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8080,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run a worker beside it.")] = True,
) -> None:
    """Receive webhooks and request the deployments they ask for."""
    import logging

    import uvicorn
    from fraisier_core.config import ConfigSource, find_config
    from fraisier_core.plugins import Plugins
    from fraisier_core.processes import forbid_dumps
    from fraisier_core.store import Database, Deliveries, Deployments

    from fraisier.app import create_app
    from fraisier.receiver import Receiver
    from fraisier.supervisor import WorkerSupervisor

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    forbid_dumps()
    plugins = Plugins.installed()
    source = ConfigSource(find_config(config), plugins, needs=[["git"]])
    current = source.current()
    for name, reason in current.git.missing.items():
        logging.getLogger(__name__).warning("git.%s: %s", name, reason)
    database = Database.open(current.database, busy_seconds=2.0)
    database.take_checkpoints()
    receiver = Receiver(source, plugins, Deployments(database), Deliveries(database))
    receiver.config()
    supervisor = WorkerSupervisor(current.path, worker_environment(current)) if worker else None
    web = create_app(receiver, database, supervisor.lifespan if supervisor else None)
    uvicorn.run(
        web,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=1000,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


def worker_environment(config: Config) -> dict[str, str]:
    """Return our environment without the variables that only the secrets under `git:` name."""
    secret = config.secret_variables()
    return {name: value for name, value in os.environ.items() if name not in secret}


@explain_errors
def main() -> None:
    """Run the command; its exit codes are those of `fraisier`."""
    app()

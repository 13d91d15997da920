"""The `fraisier-webhook` command: the web app, and unless `--no-worker` is given, one worker beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fraisier.exit_codes import explain_errors

if TYPE_CHECKING:
    import socket

    from starlette.applications import Starlette

SHUTDOWN_SECONDS = 3

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def serve(
    config: Annotated[
        Optional[Path],  # noqa: UP045 - read by typer
        typer.Option("--config", "-c", envvar="FRAISIER_CONFIG", help="The configuration file."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 0 takes a free one.", min=0, max=65535)] = 8080,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run a worker beside it.")] = True,
) -> None:
    """Receive webhooks and request the deployments that they trigger."""
    import logging

    from fraisier_core.config import find_config
    from fraisier_core.config.source import ConfigSource
    from fraisier_core.plugins import Plugins
    from fraisier_core.system.host import Host
    from fraisier_core.system.owner import become_owner, require_trusted
    from fraisier_core.system.processes import forbid_dumps

    from fraisier.app import create_app
    from fraisier.listener import open_listener, url_of
    from fraisier.receiver import Receiver
    from fraisier.supervisor import WorkerSupervisor

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    plugins = Plugins.installed()
    source = ConfigSource(find_config(config), plugins, parts={"git"}, needs=[["git"]])
    current = source.current()
    with open_listener(host, port) as listener:  # before the store is touched: the port may be taken
        become_owner(current.state_dir, sys.argv)
        require_trusted(current.path)
        forbid_dumps()  # a change of user undoes it
        store = plugins.open_store(current.database, Host())
        store.maintain()
        receiver = Receiver(source, plugins, store)
        receiver.config()
        _spare_the_collector()
        web = create_app(receiver, store, WorkerSupervisor(source).lifespan if worker else None)
        logging.getLogger(__name__).info("listening on %s", url_of(listener))
        _run(web, listener)


def _run(web: Starlette, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    import logging

    import uvicorn

    from fraisier.bounded_connection import BoundedConnection

    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # below that, strangers could fill the log
    settings = uvicorn.Config(
        web,
        http=BoundedConnection,
        loop="uvloop",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(settings).run(sockets=[listener])


def _spare_the_collector() -> None:
    """Collect garbage less often: what a batch makes outlives it; traversing it is a tenth of the work."""
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


@explain_errors
def main() -> None:
    """Run the command; its exit codes are those of `fraisier`."""
    from fraisier.running import run

    run(app, "fraisier-webhook")

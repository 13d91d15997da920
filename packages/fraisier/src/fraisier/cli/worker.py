"""`fraisier worker`: the daemon that executes deployments."""

from __future__ import annotations

from typing import Annotated

import typer

from fraisier.cli.parameters import ConfigFile, command_app
from fraisier.cli.session import ActingSession

app = command_app()


@app.command()
def worker(
    slots: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="How many may run at once.")] = 2,
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long they may finish after SIGTERM.")
    ] = 25.0,
    config: ConfigFile = None,
    supervisor_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Execute queued deployments until SIGTERM."""
    import logging

    from fraisier_core.worker.daemon import Worker

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    session = ActingSession(config, last_good=True)
    session.become_owner()
    Worker(session.source, session.plugins, slots, grace, supervisor_fd).run()

"""How `fraisier deploy` and `fraisier rollback` have their request executed: here, or by a worker."""

from __future__ import annotations

import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

import typer
from fraisier_core.config import Environment
from fraisier_core.requests.configured import configure_store
from fraisier_core.requests.requesting import request_deployment
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Request

from fraisier.cli.follow import Display
from fraisier.cli.outcome import report
from fraisier.cli.session import ActingSession
from fraisier.exit_codes import code_of_status
from fraisier.terminal import print_json, say, tell, wants_live

MakeRequest = Callable[[Store], Request]


def usable(session: ActingSession, fraise: str, environment: str) -> Environment:
    """Return an environment whose configuration is complete, before anything is requested."""
    found = session.config.environment(fraise, environment)
    session.config.require("fraises", found.fraise, "repository")
    _ = found.settings
    return found


def execute(
    session: ActingSession,
    environment: Environment,
    make_request: MakeRequest,
    *,
    process: Connection | None,
    as_json: bool,
) -> None:
    """Have a request executed, and exit with the code of the status it ends with.

    Args:
        session: what the command works with.
        environment: the environment.
        make_request: returns the request; called once the store is open.
        process: the line to the process that is to execute it; None leaves it to a worker, and prints its id.
        as_json: print JSON.
    """
    if process is None:
        _queue(session, make_request, as_json=as_json)
        return
    from fraisier.cli.foreground import Foreground  # before this process may become who cannot read it

    session.become_owner()
    foreground = Foreground(session, process)
    foreground.settle(environment.fraise, environment.name)
    deployment = foreground.run(make_request(foreground.store), _display(as_json=as_json))
    report(foreground.store, deployment, as_json=as_json)
    if as_json:
        print_json(deployment._asdict())
    raise typer.Exit(code_of_status(deployment.status))


def _queue(session: ActingSession, make_request: MakeRequest, *, as_json: bool) -> None:
    store = session.open_store()
    configure_store(store, session.config)
    deployment_id, _ = request_deployment(store, make_request(store))
    if store.live_workers() == 0:
        tell(
            "no worker is running: it waits until you start `fraisier worker` or `fraisier-webhook`", "yellow"
        )
    if as_json:
        print_json(store.deployment(deployment_id)._asdict())
    else:
        say(deployment_id)


def _display(*, as_json: bool) -> Display:
    if not as_json and wants_live(sys.stdout):
        from fraisier.cli.live import LiveDisplay

        return LiveDisplay.on_stdout()
    from fraisier.cli.plain import PlainDisplay

    return PlainDisplay(tell if as_json else say)

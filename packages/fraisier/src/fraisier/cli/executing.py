"""Having what a command requests executed: here or by a worker."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection

import typer
from fraisier_core.config import Environment
from fraisier_core.requests.requesting import request_deployment
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, Request

from fraisier.cli.reporting import display, print_queued, report, requested_for, warn_without_worker
from fraisier.cli.session import ActingSession
from fraisier.exit_codes import code_of_status

MakeRequest = Callable[[Store], Request]


def execute(
    session: ActingSession,
    environment: Environment,
    make_request: MakeRequest,
    *,
    process: Connection | None,
    as_json: bool,
) -> None:
    """Have a request executed, by a worker without a process, and exit with the code of its ending."""
    if process is None:
        _queue(session, make_request, as_json=as_json)
        return
    from fraisier.cli.foreground import Foreground  # before this process may become who cannot read it

    session.become_owner()
    foreground = Foreground(session, process)
    foreground.settle(environment.fraise, environment.name)
    deployment = foreground.run(make_request(foreground.store), display(as_json=as_json))
    report(foreground.store, deployment, as_json=as_json)
    if any(_is_left_to_worker(each) for each in requested_for(foreground.store, deployment)):
        warn_without_worker(foreground.store)
    raise typer.Exit(code_of_status(deployment.status))


def _is_left_to_worker(requested: Deployment) -> bool:
    """Whether what a deployment requested waits, and no unit of this host is at work on it."""
    if requested.status != "pending":
        return False
    if requested.executor != "unit":
        return True
    from fraisier_core.units.starting import is_at_work

    return not is_at_work(requested)


def _queue(session: ActingSession, make_request: MakeRequest, *, as_json: bool) -> None:
    store = session.configured_store()
    deployment_id, _ = request_deployment(store, make_request(store))
    print_queued(store, deployment_id, as_json=as_json)

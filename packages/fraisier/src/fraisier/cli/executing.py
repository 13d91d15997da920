"""Having what a command requests executed: here or by a worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

import typer
from fraisier_core.config import Environment
from fraisier_core.requests.requesting import request_deployment
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, Request
from fraisier_core.system.host import has_systemd

from fraisier.cli.reporting import display, print_queued, report, requested_for, warn_without_worker
from fraisier.cli.session import ActingSession
from fraisier.exit_codes import ExitCode, code_of_status
from fraisier.terminal import tell

MakeRequest = Callable[[Store], Request]


def execute(
    session: ActingSession,
    environment: Environment,
    make_request: MakeRequest,
    *,
    process: Connection | None,
    as_json: bool,
    scheduled: bool = False,
) -> None:
    """Have a request executed, by a worker without a process, and exit with the code of its ending."""
    if process is None:
        store, deployment_id = requested_once(session, make_request)
        with ending_well(scheduled=scheduled):
            print_queued(store, deployment_id, as_json=as_json)
        return
    from fraisier.cli.foreground import Foreground  # before this process may become who cannot read it

    session.become_owner()
    foreground = Foreground(session, process)
    foreground.settle(environment.fraise, environment.name)
    deployment = foreground.run(make_request(foreground.store), display(as_json=as_json))
    report(foreground.store, deployment, as_json=as_json)
    if any(_is_left_to_worker(each) for each in requested_for(foreground.store, deployment)):
        warn_without_worker(foreground.store)
    is_fire = scheduled and has_systemd()  # which would repeat it
    raise typer.Exit(ExitCode.SUCCESS if is_fire else code_of_status(deployment.status))


def _is_left_to_worker(requested: Deployment) -> bool:
    """Whether what a deployment requested waits, and no unit of this host is at work on it."""
    if requested.status != "pending":
        return False
    if requested.executor != "unit":
        return True
    from fraisier_core.units.starting import is_at_work

    return not is_at_work(requested)


def requested_once(session: ActingSession, make_request: MakeRequest) -> tuple[Store, str]:
    """Request a deployment; return the store and its id. Whether a fire is on record is found out, however
    long that takes: systemd would repeat it.
    """
    store = session.configured_store()
    request = make_request(store)
    if request.trigger == "schedule":
        store.insist()
    return store, request_deployment(store, request)[0]


@contextmanager
def ending_well(*, scheduled: bool) -> Iterator[None]:
    """Say what fails within a block, and exit with success if `scheduled`: the fire is on record, and systemd
    would repeat it.
    """
    try:
        yield
    except Exception as error:
        if not scheduled:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is still to be flushed
        with suppress(OSError):
            tell(f"the run is on record, though: {error}", "yellow")
        raise typer.Exit(ExitCode.SUCCESS) from error

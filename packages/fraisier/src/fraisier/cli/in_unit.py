"""Having a run executed by a unit of systemd: requested of it, and executed in it."""

from __future__ import annotations

from multiprocessing.connection import Connection

import typer
from fraisier_core.config import Environment
from fraisier_core.errors import InvalidRequestError, StepFailedError
from fraisier_core.requests.requesting import request_deployment
from fraisier_core.units.starting import start

from fraisier.cli.acting import follow_to_end
from fraisier.cli.executing import MakeRequest
from fraisier.cli.reporting import display, print_requested, report, warn_without_worker
from fraisier.cli.session import ActingSession
from fraisier.exit_codes import code_of_status
from fraisier.terminal import tell


def execute_claimed(
    session: ActingSession, environment: Environment, id_part: str, *, process: Connection, as_json: bool
) -> None:
    """Execute a run that was requested of a unit, and exit with the code of its ending. Raises
    `InvalidRequestError` if it is not one of this environment.
    """
    from fraisier.cli.foreground import Foreground

    session.become_owner()
    foreground = Foreground(session, process)
    deployment = foreground.store.deployment(foreground.store.find(id_part))
    names = environment.fraise, environment.name
    if (deployment.fraise_id, deployment.environment) != names:
        raise InvalidRequestError(f"deployment {deployment.id} is not one of {' '.join(names)}")
    foreground.settle(*names)
    ended = foreground.execute(deployment.id, display(as_json=as_json))
    report(foreground.store, ended, as_json=as_json)
    raise typer.Exit(code_of_status(ended.status))


def execute_in_unit(
    session: ActingSession,
    environment: Environment,
    make_request: MakeRequest,
    *,
    detach: bool,
    as_json: bool,
) -> None:
    """Have a unit of systemd execute a request, started here or, if that is not permitted, by a worker;
    follow it unless `detach`, and exit with the code of its ending.
    """
    store = session.configured_store()
    deployment_id, _ = request_deployment(store, make_request(store))
    run = store.deployment(deployment_id)
    if run.status == "pending" and not (run.executor == "unit" and _started(environment, deployment_id)):
        warn_without_worker(store)
    if detach:
        print_requested(store, deployment_id, as_json=as_json)
        return
    follow_to_end(session, deployment_id, as_json=as_json)


def _started(environment: Environment, deployment_id: str) -> bool:
    """Have systemd start the unit of a run, and return whether it does."""
    try:
        start(environment.fraise, environment.name, deployment_id)
    except StepFailedError as error:
        tell(f"{error}; a worker tries again", "yellow")
        return False
    return True

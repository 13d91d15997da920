"""Having the request of `fraisier deploy` or `fraisier rollback` executed, here or by a worker."""

from __future__ import annotations

import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

import typer
from fraisier_core.config import Environment
from fraisier_core.requests.requesting import request_deployment
from fraisier_core.store.protocol import Reader, Store
from fraisier_core.store.records import Deployment, Request
from fraisier_core.store.vocabulary import KINDS

from fraisier.cli.follow import Display, PlainDisplay
from fraisier.cli.session import ActingSession
from fraisier.cli.tables import COLOURS, short_commit, short_id
from fraisier.cli.times import lasted
from fraisier.exit_codes import code_of_status
from fraisier.terminal import print_json, say, tell, wants_live

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
    deployment = foreground.run(make_request(foreground.store), _display(as_json=as_json))
    _report(foreground.store, deployment, as_json=as_json)
    raise typer.Exit(code_of_status(deployment.status))


def _queue(session: ActingSession, make_request: MakeRequest, *, as_json: bool) -> None:
    store = session.configured_store()
    deployment_id, _ = request_deployment(store, make_request(store))
    warn_without_worker(store)
    if as_json:
        print_json(store.deployment(deployment_id)._asdict())
    else:
        say(deployment_id)


def warn_without_worker(store: Store) -> None:
    """Say so if no worker is there to execute what was requested."""
    if store.live_workers() == 0:
        start = "`fraisier worker` or `fraisier-webhook`"
        tell(f"no worker is running: it waits until you start {start}", "yellow")


def _display(*, as_json: bool) -> Display:
    if not as_json and wants_live(sys.stdout):
        from fraisier.cli.live import LiveDisplay

        return LiveDisplay()
    return PlainDisplay(tell if as_json else say)


def _report(history: Reader, deployment: Deployment, *, as_json: bool) -> None:
    """Say how a deployment ended; what failed, and everything beside JSON, to standard error."""
    what = f"{deployment.fraise_id} {deployment.environment}"
    done = tell if as_json else say
    if deployment.status == "success":
        serving = f"{short_commit(deployment.commit_sha)} serves (release {deployment.release})"
        took = f"{KINDS[deployment.kind].done} in {lasted(deployment.duration)}"
        done(f"{what}: {serving}, {took}", COLOURS["success"])
    elif deployment.status == "skipped":
        done(f"{what}: nothing to do: {deployment.error_message}")
    else:
        tell(f"{what}: {_failure(deployment)}", COLOURS.get(deployment.status))
        tell(f"{_serving(history, deployment)}; see `fraisier show {short_id(deployment.id)}`")
    if as_json:
        print_json(deployment._asdict())


def _failure(deployment: Deployment) -> str:
    status = deployment.status.replace("_", " ")
    if deployment.superseded_by is not None:
        status += f" by deployment {short_id(deployment.superseded_by)}"
    return f"{status}: {deployment.error_message}" if deployment.error_message else status


def _serving(history: Reader, deployment: Deployment) -> str:
    for status in history.status(deployment.fraise_id, deployment.environment):
        if status.serving_unknown:
            return "the serving release is unknown"
        if status.serving_commit_sha is not None:
            return f"{short_commit(status.serving_commit_sha)} serves"
    return "nothing serves"

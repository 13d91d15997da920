"""`fraisier deploy`, `fraisier rollback` and `fraisier cancel`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from fraisier_core.config.fraise import Environment
from fraisier_core.errors import BusyError, ConfigurationError
from fraisier_core.push import BRANCH_PREFIX
from fraisier_core.requests.configured import configure_store
from fraisier_core.requests.requesting import request_deployment
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Request
from fraisier_core.store.vocabulary import ENDED

from fraisier.cli.follow import Display
from fraisier.cli.outcome import report
from fraisier.cli.rollback import choose_release
from fraisier.cli.session import Session
from fraisier.cli.tables import short_id
from fraisier.exit_codes import ExitCode, code_of_status
from fraisier.terminal import print_json, say, tell, wants_live

MakeRequest = Callable[[Store], Request]


def deploy(
    file: Path | None,
    fraise: str,
    environment: str,
    commit: str | None,
    branch: str | None,
    *,
    detach: bool,
    as_json: bool,
) -> ExitCode:
    """Deploy a commit, or the newest one of a branch, and return the exit code."""
    session = Session.start(file)
    found = _usable(session, fraise, environment)
    branch = branch or (None if commit else _configured_branch(session, found))
    ref = f"{BRANCH_PREFIX}{branch}" if branch else None
    request = Request(
        found.fraise,
        found.name,
        "deploy",
        "manual",
        session.user,
        ref=ref,
        commit_sha=commit.lower() if commit else None,
    )
    return _execute(session, found, lambda _: request, detach=detach, as_json=as_json)


def roll_back(
    file: Path | None, fraise: str, environment: str, to: str | None, *, detach: bool, as_json: bool
) -> ExitCode:
    """Roll back to an earlier release, and return the exit code."""
    session = Session.start(file)
    found = _usable(session, fraise, environment)

    def make_request(store: Store) -> Request:
        running = store.running(found.fraise, found.name)
        if to is None and running is not None:
            what = f"deployment {short_id(running)} of {found.fraise} {found.name} is running"
            raise BusyError(f"{what}: cancel it, or name the release to roll back to with --to")
        target = choose_release(session, store, found, to)
        return Request(
            found.fraise,
            found.name,
            "rollback",
            "manual",
            session.user,
            commit_sha=target.commit_sha,
            release=target.release,
        )

    return _execute(session, found, make_request, detach=detach, as_json=as_json)


def cancel(file: Path | None, id_part: str, *, as_json: bool) -> None:
    """Request the cancellation of a deployment. Raises `BusyError` if it has ended otherwise."""
    session = Session.start(file)
    store, deployment_id = session.existing(id_part)
    deployment = store.request_cancel(deployment_id, session.user)
    what = f"deployment {short_id(deployment.id)} of {deployment.fraise_id} {deployment.environment}"
    if deployment.status in ENDED - {"cancelled"}:
        raise BusyError(f"{what} has ended already: {deployment.status}")
    if as_json:
        print_json({"id": deployment.id, "status": deployment.status, "cancel_requested": True})
    elif deployment.status == "cancelled":
        say(f"{what} is cancelled")
    else:
        see = f"run `fraisier show {short_id(deployment.id)}` for the outcome"
        say(f"cancellation of {what} requested; {see}")


def _usable(session: Session, fraise: str, environment: str) -> Environment:
    """Return an environment whose configuration is complete, before anything is requested."""
    found = session.config.environment(fraise, environment)
    session.config.require("fraises", found.fraise, "repository")
    _ = found.settings
    return found


def _configured_branch(session: Session, environment: Environment) -> str:
    if environment.branch is None:
        where = f"{session.config.path}: fraises.{environment.fraise}.environments.{environment.name}"
        problem = "no `branch:` says what to deploy; set it, or give --branch or --commit"
        raise ConfigurationError([f"{where}: {problem}"])
    return environment.branch


def _execute(
    session: Session, environment: Environment, make_request: MakeRequest, *, detach: bool, as_json: bool
) -> ExitCode:
    if detach:
        _queue(session, make_request, as_json=as_json)
        return ExitCode.SUCCESS
    from fraisier.cli.foreground import Foreground  # before this process may become who cannot read it

    session.become_owner()
    foreground = Foreground(session)
    foreground.settle(environment.fraise, environment.name)
    deployment = foreground.run(make_request(foreground.store), _display(as_json=as_json))
    report(foreground.store, deployment, as_json=as_json)
    if as_json:
        print_json(asdict(deployment))
    return code_of_status(deployment.status)


def _queue(session: Session, make_request: MakeRequest, *, as_json: bool) -> None:
    store = session.open_store()
    configure_store(store, session.config)
    deployment_id, _ = request_deployment(store, make_request(store))
    if store.live_workers() == 0:
        tell(
            "no worker is running: it waits until you start `fraisier worker` or `fraisier-webhook`", "yellow"
        )
    if as_json:
        print_json(asdict(store.deployment(deployment_id)))
    else:
        say(deployment_id)


def _display(*, as_json: bool) -> Display:
    if not as_json and wants_live(sys.stdout):
        from fraisier.cli.live import LiveDisplay

        return LiveDisplay.on_stdout()
    from fraisier.cli.plain import PlainDisplay

    return PlainDisplay(tell if as_json else say)

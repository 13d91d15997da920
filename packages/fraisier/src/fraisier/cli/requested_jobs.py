"""Having a job executed that a command or a timer requests: a run, a backup, a restore test."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import typer
from fraisier_core.errors import RemoteError
from fraisier_core.system.host import has_systemd

from fraisier.cli.session import ActingSession, fork_early
from fraisier.cli.told_to_end import heed_sigterm
from fraisier.cli.where import remote_session

if TYPE_CHECKING:
    from pathlib import Path

    from fraisier_core.config import Environment
    from fraisier_core.store.protocol import Store
    from fraisier_core.store.records import Request


@dataclass(frozen=True, slots=True)
class RequestedJob:
    """What a command was called for; `scheduled`: by a timer."""

    kind: str
    fraise: str
    environment: str
    arguments: tuple[str, ...] = ()
    scheduled: bool = False


def request_job(
    ctx: typer.Context, job: RequestedJob, config: Path | None, *, detach: bool, as_json: bool
) -> None:
    """Request a job, here or with `--url` at another machine, and exit with the code of its end."""
    if (remote := remote_session(ctx, config)) is None:
        _execute_job(job, config, detach=detach, as_json=as_json)
        return
    if job.scheduled:
        raise for_units_alone()
    from fraisier.cli.acting import follow_requested

    names = remote.usable_environment(job.fraise, job.environment)
    requested = remote.requests.job(job.kind, *names, job.arguments)
    follow_requested(remote, requested, detach=detach, as_json=as_json)


def _execute_job(job: RequestedJob, config: Path | None, *, detach: bool, as_json: bool) -> None:
    """Request a job, have it executed here, by a unit or by a worker, and exit with the code of its end. What
    is due though its fraise type is not installed fails here: the record says at once what to install.
    """
    process = None if detach or has_systemd() else fork_early()  # it would delay what a unit executes
    session = ActingSession(config, last_good=job.scheduled)
    named = session.config.named_environment if job.scheduled else session.config.environment
    found = named(job.fraise, job.environment)
    request = partial(_request, session, found, job)
    fails_at_once = job.scheduled and session.config.fraise(found.fraise).problem is not None
    if not fails_at_once and _is_for_unit(found, scheduled=job.scheduled):
        from fraisier.cli.in_unit import execute_in_unit

        execute_in_unit(session, found, request, detach=detach, as_json=as_json, scheduled=job.scheduled)
        return
    from fraisier.cli.executing import execute

    if process is None and (fails_at_once or not detach):
        process = fork_early()
    if process is not None and not job.scheduled:
        session.usable_environment(
            found.fraise, found.name
        )  # it is this process that needs what the job does
    execute(session, found, request, process=process, as_json=as_json, scheduled=job.scheduled)


def execute_claimed_job(
    fraise: str, environment: str, claim: str, config: Path | None, *, as_json: bool
) -> NoReturn:
    """Execute what was requested of a unit, in that, and exit with the code of its ending."""
    process = fork_early()
    heed_sigterm()  # a unit that is stopped before all is read cancels its run nevertheless
    session = ActingSession(config, last_good=True)
    found = session.config.named_environment(fraise, environment)
    from fraisier.cli.in_unit import execute_claimed

    execute_claimed(session, found, claim, process=process, as_json=as_json)


def for_units_alone() -> RemoteError:
    """Return the error for options that are for the units of the host, from afar."""
    return RemoteError("--scheduled and --claim are for the units of the host: leave out --url")


def _is_for_unit(environment: Environment, *, scheduled: bool) -> bool:
    """Whether a unit of systemd executes the jobs of an environment; those of a timer, if the record says so,
    whatever keeps the settings from being known.
    """
    from fraisier_core.requests.requesting import executor_for

    if scheduled or not has_systemd():
        return has_systemd()
    settings = environment.job if environment.has_job else None
    return settings is not None and executor_for(settings) == "unit"


def _request(session: ActingSession, environment: Environment, job: RequestedJob, store: Store) -> Request:
    from fraisier_core.engine.job_requests import fired_request, job_request

    if job.scheduled:
        return fired_request(session.config, environment, job.kind, job.arguments)
    what = session.config, store, environment, job.kind
    return job_request(*what, requested_by=session.user, arguments=job.arguments)

"""Having a run executed by a unit of systemd: requested of it, and executed in it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from multiprocessing.connection import Connection
from typing import NoReturn

import typer
from fraisier_core.config import Environment
from fraisier_core.errors import InvalidRequestError, StepFailedError
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment
from fraisier_core.units.job import executor_of
from fraisier_core.units.starting import Started, is_at_work, start_next

from fraisier.cli.acting import Onlooker, follow_by
from fraisier.cli.attending import UNATTENDED
from fraisier.cli.executing import MakeRequest, ending_well, requested_once
from fraisier.cli.reporting import display, print_requested, report, warn_without_worker
from fraisier.cli.session import ActingSession
from fraisier.cli.tables import short_id
from fraisier.exit_codes import code_of_status
from fraisier.terminal import tell

PATIENCE, PAUSE = 60.0, 5.0
"""For how many seconds a fire tries to start its unit, and how many pass in between."""


def execute_claimed(
    session: ActingSession, environment: Environment, id_part: str, *, process: Connection, as_json: bool
) -> NoReturn:
    """Execute a run that was requested of a unit, and exit with the code of its ending. Raises
    `InvalidRequestError` if it is not one of this environment.
    """
    from fraisier.cli.foreground import Foreground

    session.become_owner()
    foreground = Foreground(session, process, jobs_only=True)
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
    scheduled: bool = False,
) -> None:
    """Have a unit of systemd execute a request once it is its turn, started here or, if that is not
    permitted, by a worker; follow it unless `detach`, and exit with the code of its ending. What is
    `scheduled` is tried for a while if no worker is there: nothing else tries before the next fire.
    """
    store, deployment_id = requested_once(session, make_request)
    with ending_well(scheduled=scheduled):
        start = partial(start_next, store, environment.fraise, environment.name, deployment_id)
        is_left = _is_left(_started(start, store, PATIENCE if scheduled else 0.0))
        run = store.deployment(deployment_id)
        if run.status == "pending" and (is_left or run.executor != "unit"):
            warn_without_worker(store)
        if detach:
            print_requested(store, deployment_id, as_json=as_json)
            return
    new = Onlooker if is_left else UnitOnlooker
    follow_by(new(session, deployment_id), deployment_id, as_json=as_json)


def _started(start: Callable[[], list[Started]], store: Store, patience: float) -> list[Started]:
    """Start units; if systemd does not and no worker is there to try again, try for `patience` seconds."""
    until = time.monotonic() + patience
    while True:
        started = start()
        problems = [each.problem for each in started if each.outcome in {"refused", "unanswered"}]
        if not problems or time.monotonic() >= until or store.live_workers():
            return started
        tell(f"{'; '.join(problems)}; trying again", "yellow")
        time.sleep(PAUSE)


def _is_left(started: Iterable[Started]) -> bool:
    """Say what could not be started, and return whether anything could not."""
    problems = [each.problem for each in started if each.problem]
    for problem in problems:
        tell(f"{problem}; a worker tries again", "yellow")
    return bool(problems)


class UnitOnlooker(Onlooker):
    """Follows a run that a unit executes, and sees that there is one."""

    _since = math.inf

    def awaited(self, deployment: Deployment) -> str | None:
        """Return what a run has to wait for. Raises `StepFailedError` if nothing would ever execute it."""
        found = super().awaited(deployment)
        if deployment.status != "pending" or found is not None:
            self._since = math.inf
        else:
            self._since = min(self._since, time.monotonic())
            if time.monotonic() - self._since > UNATTENDED:
                self._require_executor(deployment)
                self._since = time.monotonic()
        return found

    def _require_executor(self, run: Deployment) -> None:
        if is_at_work(run) or self.reader.live_workers():
            return
        if self.reader.deployment(run.id).status == "pending":  # still, though its unit is not at work
            unit = executor_of(run.fraise_id, run.environment, run.id)
            gone = f"the unit of run {short_id(run.id)} ended before it claimed it"
            raise StepFailedError(
                f"{gone}, and no worker is running to start it again: see `journalctl --unit {unit}`"
            )

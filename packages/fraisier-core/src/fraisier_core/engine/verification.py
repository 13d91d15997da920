"""Verifying an activated release: it becomes healthy, and stays so for `stable_for`."""

from __future__ import annotations

import time

from fraisier_core.engine.execution import Execution, raised
from fraisier_core.engine.hooks import RecordedRun
from fraisier_core.engine.started import Started
from fraisier_core.engine.watch import TICK_SECONDS, Watch
from fraisier_core.errors import CancelledError, InterruptedRunError, StepFailedError, StoreError
from fraisier_core.health import Health
from fraisier_core.settings import HealthCheck
from fraisier_core.system.unit_watch import UnitWatch

_ONE_PROBE = HealthCheck(command=["true"], retries=1)
_SHORTEST_INTERVAL = 0.1
_LONGER = "(health_check.retries, .interval and .timeout give it longer)"


def verify(execution: Execution, run: RecordedRun) -> str:
    """Probe a release until it is healthy and has stayed so; return what was seen.

    Raises `StepFailedError` if it does not, and whatever ends the attempt.
    """
    with execution.recorder.step("verify"):
        return _Verification(execution, run).verdict()


class _Verification:
    def __init__(self, execution: Execution, run: RecordedRun) -> None:
        self._execution = execution
        self._run = run
        self._check = run.settings.health_check or _ONE_PROBE
        self._stable_for = run.settings.stable_for
        self._started = Started(run.daemons, run.release, run.settings.health_check, in_place=run.in_place)
        self._watch = run.interruption = Watch(execution.cancellation.event)
        self._watch.add(execution.context.deployer.watch(run))
        self._watch.add(self._started.require_running if run.daemons.any else None)

    def verdict(self) -> str:
        health = self._become_healthy()
        if (health.final and not self._watch) or not self._stable_for:
            self._look_at_last()
            return health.detail
        self._note(f"healthy; it must stay so for {self._stable_for:g} s (stable_for)")
        since = time.monotonic()
        try:
            self._stay_healthy(since)
        except StepFailedError as error:
            later = f"was healthy, then {time.monotonic() - since:.1f} s later: {error}"
            raise StepFailedError(f"{later} (stable_for is {self._stable_for:g})") from error
        return f"{health.detail}, and it stayed healthy for {self._stable_for:g} s"

    def _become_healthy(self) -> Health:
        check, started = self._check, time.monotonic()
        for number in range(1, check.retries + 1):
            health = self._probe()
            self._note(f"{number}/{check.retries}: {health.detail}")
            if health.healthy:
                return health
            if health.final:
                raise StepFailedError(f"unhealthy: {health.detail}")
            seconds = time.monotonic() - started
            if number == check.retries or seconds >= check.probing_seconds:
                break
            self._wait_until(started + number * check.interval)
        self._watch.note_journals()
        raise StepFailedError(f"unhealthy after {_probes(check, number, seconds)}: {health.detail} {_LONGER}")

    def _stay_healthy(self, since: float) -> None:
        """Probe until the time is over: a last time when it is, however long the interval is."""
        if self._check.unit is not None:
            self._watch.add(UnitWatch(self._check.unit, self._note))
        probed, until = since, since + self._stable_for
        while probed < until:
            self._wait_until(min(probed + max(self._check.interval, _SHORTEST_INTERVAL), until))
            probed = time.monotonic()
            health = self._probe()
            if not health.healthy:
                self._look_once_more()
                raise StepFailedError(health.detail)
        self._look_at_last()

    def _look_once_more(self) -> None:
        """Raise what a look says about a service that has just become unhealthy, if it says more."""
        if self._watch:
            self._wait_until(time.monotonic() + TICK_SECONDS)
            self._watch.look(now=True)

    def _look_at_last(self) -> None:
        self._watch.look(now=True)
        if self._run.permitted_daemons:
            self._started.require_answering()

    def _probe(self) -> Health:
        try:
            health = self._execution.context.deployer.health_check(self._run)
        except (CancelledError, StoreError, InterruptedRunError):
            raise
        except Exception as error:  # noqa: BLE001 - the run boundary: so may its probe
            health = Health(False, f"the health check raised {raised(error)}")
        self._watch.look()
        return health

    def _wait_until(self, moment: float) -> None:
        while (seconds := moment - time.monotonic()) > 0:
            self._watch.look()
            self._execution.cancellation.wait(min(seconds, TICK_SECONDS))

    def _note(self, text: str) -> None:
        self._execution.recorder.note(text)


def _probes(check: HealthCheck, number: int, seconds: float) -> str:
    if check.retries == 1:
        return "one probe"
    return f"{number} probes {check.interval:g} s apart" if number == check.retries else f"{seconds:.1f} s"

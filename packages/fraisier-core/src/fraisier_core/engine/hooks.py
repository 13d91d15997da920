"""Calling the deployer: to deploy or roll back to a release, and to probe its health."""

from __future__ import annotations

from fraisier_core.engine.execution import Execution
from fraisier_core.engine.recorded_run import RecordedRun
from fraisier_core.errors import CancelledError, InterruptedRunError, StepFailedError, StoreError
from fraisier_core.health import Health
from fraisier_core.release import Release
from fraisier_core.settings import HealthCheck

ONE_PROBE = HealthCheck(command=["true"], retries=1)


def call(execution: Execution, hook: str, release: Release) -> None:
    """Call the hook that activates a release; in place, it is checked out first, which activates it. Raises
    `StepFailedError` if the hook returns without having called `run.activate()`.
    """
    run = RecordedRun(execution, release)
    if run.in_place:
        with execution.recorder.step("checkout"):
            execution.activate(release)
    execution.context.deployer.call(hook, run, release)
    if not (run.activated or run.in_place):
        rule = "call it before the first command that may change what runs"
        raise StepFailedError(f"{hook} returned without run.activate(): {rule}")


def verify(execution: Execution, release: Release) -> str:
    """Probe a release until it is healthy; return what was seen, or raise `StepFailedError`."""
    check = execution.context.settings.health_check or ONE_PROBE
    run = RecordedRun(execution, release)
    with execution.recorder.step("verify"):
        for probe in range(1, check.retries + 1):
            health = _probe(execution, run)
            execution.recorder.note(f"{probe}/{check.retries}: {health.detail}")
            if health.healthy:
                return health.detail
            if probe < check.retries:
                execution.cancellation.wait(check.interval)
        raise StepFailedError(_unhealthy(check, health))


def _probe(execution: Execution, run: RecordedRun) -> Health:
    try:
        return execution.context.deployer.health_check(run)
    except (CancelledError, StoreError, InterruptedRunError):
        raise
    except Exception as error:  # noqa: BLE001 - the run boundary: so may its probe
        return Health(False, f"the health check raised {type(error).__name__}: {error}")


def _unhealthy(check: HealthCheck, health: Health) -> str:
    probes = "one probe" if check.retries == 1 else f"{check.retries} probes {check.interval:g} s apart"
    return (
        f"unhealthy after {probes}: {health.detail} "
        "(health_check.retries, .interval and .timeout give it longer)"
    )

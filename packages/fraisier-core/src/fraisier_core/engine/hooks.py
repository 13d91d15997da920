"""Calling the deployer, with a run that records, bounds and redacts everything the deployer does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from fraisier_core.engine.execution import Execution, raised
from fraisier_core.engine.leftovers import DEPLOYMENT_VARIABLE
from fraisier_core.engine.probes import probe
from fraisier_core.errors import CancelledError, InterruptedRunError, StepFailedError, StoreError
from fraisier_core.health import Health
from fraisier_core.release import Release
from fraisier_core.run import Argument, Run, require_own_step
from fraisier_core.settings import EnvironmentSettings, HealthCheck
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.commands import Limits, run_command

ONE_PROBE = HealthCheck(command=["true"], retries=1)


class RecordedRun(Run[EnvironmentSettings]):
    """A run whose steps, output and commands are recorded; `activated` says whether activation has begun."""

    def __init__(self, execution: Execution, release: Release) -> None:
        context = execution.context
        place, in_place = (context.fraise, context.environment), context.workspace.in_place
        previous = execution.existing(execution.deployment.previous_release)
        super().__init__(*place, context.settings, release, previous, in_place=in_place)
        self.activated = False
        self._execution = execution
        self._recorder = execution.recorder
        self._cancellation = execution.cancellation

    def step(self, name: str, *, repeatable: bool = True) -> AbstractContextManager[None]:
        require_own_step(name)
        self._cancellation.check()
        return self._recorder.step(name, repeatable=repeatable)

    def command(
        self,
        argv: Sequence[Argument],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        leave_running: bool = False,
    ) -> None:
        marked = {} if leave_running else {DEPLOYMENT_VARIABLE: self._execution.deployment.id}
        step = nullcontext() if self._recorder.in_step else self.step(Path(argv[0]).name)
        with step, self._cancellation.explained():
            self._recorder.note(f"$ {' '.join(os.fspath(argument) for argument in argv)}")
            run_command(
                argv,
                cwd=cwd or self.release.path,
                env=self.command_environment() | marked | dict(env or {}),
                limits=Limits(wall=self.settings.timeout, silence=self.settings.silence_timeout),
                on_output=self._recorder.write,
                cancelled=self._cancellation.event,
                # Recovery must not end what the command leaves running.
                on_start=None if leave_running else self._recorder.record_command,
                leave_running=leave_running,
            )

    def note(self, text: str) -> None:
        self._recorder.note(text)

    def activate(self, release: Release | None = None) -> None:
        kind = KINDS[self._execution.deployment.kind]
        if not kind.activates:
            raise StepFailedError(
                f"{kind.name}: this kind activates nothing, and may not call run.activate()"
            )
        if not self.in_place:
            self._cancellation.check()
            with self._recorder.step("activate"):
                self.activated = True
                self._execution.activate(release or self.release)

    def probe(self) -> Health:
        check = self.settings.health_check
        if check is None:
            return Health(True, "no health_check is configured")
        with self._cancellation.explained():
            env, cancelled = self.command_environment(), self._cancellation.event
            return probe(check, cwd=self.release.path, env=env, cancelled=cancelled)


def call(execution: Execution, hook: str, release: Release) -> None:
    """Call a hook for a release, which it activates if its kind does; in place, it is checked out first, and
    that activates it. Raises `StepFailedError` if the hook should have called `run.activate()`, and did not.
    """
    run, activates = RecordedRun(execution, release), KINDS[execution.deployment.kind].activates
    if run.in_place and activates:
        with execution.recorder.step("checkout"):
            execution.activate(release)
    execution.context.deployer.call(hook, run, release)
    if activates and not (run.activated or run.in_place):
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
        return Health(False, f"the health check raised {raised(error)}")


def _unhealthy(check: HealthCheck, health: Health) -> str:
    probes = "one probe" if check.retries == 1 else f"{check.retries} probes {check.interval:g} s apart"
    longer = "(health_check.retries, .interval and .timeout give it longer)"
    return f"unhealthy after {probes}: {health.detail} {longer}"

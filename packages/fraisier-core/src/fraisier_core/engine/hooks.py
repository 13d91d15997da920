"""Calling the deployer, with a run that records, bounds and redacts everything the deployer does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from fraisier_core.engine.execution import Execution
from fraisier_core.engine.leftovers import DEPLOYMENT_VARIABLE
from fraisier_core.engine.probes import probe
from fraisier_core.errors import StepFailedError
from fraisier_core.health import Health
from fraisier_core.kept_backups import folder_of_backups
from fraisier_core.release import Release
from fraisier_core.run import Argument, Run, require_own_step
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.store.events import Event
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.stored import Stored
from fraisier_core.system.commands import CommandResult, Interruption, Limits, run_command
from fraisier_core.system.daemons import Daemons


class RecordedRun(Run[EnvironmentSettings]):
    """A run whose steps, output and commands are recorded; `activated` says whether activation has begun,
    `daemons` what its commands left running, if they were permitted to, `interruption` what ends a probe.
    """

    def __init__(self, execution: Execution, release: Release) -> None:
        context = execution.context
        place, in_place = (context.fraise, context.environment), context.workspace.in_place
        deployment = execution.deployment
        is_rollback = release.name == deployment.previous_release
        previous = execution.existing(deployment.release if is_rollback else deployment.previous_release)
        super().__init__(
            *place,
            context.settings,
            release,
            previous,
            in_place=in_place,
            arguments=deployment.arguments,
            deployment_id=deployment.id,
            requested_for=deployment.requested_for,
            newest_stored=_newest_stored(execution) if deployment.kind == "restore_test" else None,
            folder=folder_of_backups(context.state_dir, *place),
        )
        self.activated = False
        self.daemons = Daemons()
        self.permitted_daemons = False
        self.interruption: Interruption = execution.cancellation.event
        self._facts = context.facts(release)
        self._execution = execution
        self._recorder = execution.recorder
        self._cancellation = execution.cancellation

    def command_environment(self) -> dict[str, str]:
        return super().command_environment() | self._facts

    def step(self, name: str, *, repeatable: bool = True) -> AbstractContextManager[None]:
        require_own_step(name)
        self._cancellation.check()
        if (retries := self._execution.retries) is not None:
            repeatable = retries.count > 0
        return self._recorder.step(name, repeatable=repeatable)

    def command(
        self,
        argv: Sequence[Argument],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        leave_running: bool = False,
        check: bool = True,
    ) -> CommandResult:
        self.permitted_daemons |= leave_running
        marked = {} if leave_running else {DEPLOYMENT_VARIABLE: self._execution.deployment.id}
        step = nullcontext() if self._recorder.in_step else self.step(Path(argv[0]).name)
        with step, self._cancellation.explained():
            self._recorder.note(f"$ {' '.join(os.fspath(argument) for argument in argv)}")
            result = run_command(
                argv,
                cwd=cwd or self.release.path,
                env=self.command_environment() | marked | dict(env or {}),
                limits=Limits(wall=self.settings.timeout, silence=self.settings.silence_timeout),
                on_output=self._recorder.write,
                cancelled=self._cancellation.event,
                # Recovery must not end what the command leaves running.
                on_start=None if leave_running else self._recorder.record_command,
                leave_running=leave_running,
                check=check,
                killed_first=KINDS[self._execution.deployment.kind].job,
            )
            self.daemons.look()
        return result

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

    def record_stored(self, stored: Stored) -> None:
        kind = KINDS[self._execution.deployment.kind]
        if kind.source != "nothing":
            raise StepFailedError(f"{kind.name}: this kind stores nothing: only a backup does")
        name, place = map(self._recorder.redacted, (stored.name, stored.destination))
        stored_event = Event("stored", stored_name=name, stored_size=stored.size)
        stored_event = stored_event._replace(stored_sha256=stored.sha256, stored_at=place)
        self._recorder.append(stored_event._replace(message=stored.problem))

    def probe(self) -> Health:
        check = self.settings.health_check
        if check is None:
            return Health(True, "no health_check is configured", final=True)
        with self._cancellation.explained():
            env = self.command_environment()
            check = check.for_commit(self.commit_sha)
            return probe(check, cwd=self.release.path, env=env, cancelled=self.interruption)


def _newest_stored(execution: Execution) -> Stored | None:
    names = execution.context.fraise, execution.context.environment
    runs = execution.store.newest_runs(*names)
    made = next((each for each in runs if (each.kind, each.status) == ("backup", "success")), None)
    if made is None or not (made.stored_name and made.stored_sha256 and made.stored_at):
        return None
    return Stored(made.stored_name, made.stored_size or 0, made.stored_sha256, made.stored_at)


def call(execution: Execution, hook: str, release: Release) -> RecordedRun:
    """Call a hook for a release, which it activates if its kind does, and return its run; in place, it is
    checked out first, and that activates it. Raises `StepFailedError` if the hook should have called
    `run.activate()`, and did not.
    """
    run, activates = RecordedRun(execution, release), KINDS[execution.deployment.kind].activates
    if run.in_place and activates:
        with execution.recorder.step("checkout"):
            execution.activate(release)
    execution.context.deployer.call(hook, run, release)
    if activates and not (run.activated or run.in_place):
        rule = "call it before the first command that may change what runs"
        raise StepFailedError(f"{hook} returned without run.activate(): {rule}")
    if KINDS[execution.deployment.kind].stores and execution.deployment.stored_name is None:
        raise StepFailedError(f"{hook} returned without run.record_stored(): nothing says what it stored")
    return run

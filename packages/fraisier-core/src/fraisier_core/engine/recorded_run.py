"""The run that the engine gives to deployers: everything it does is recorded, bounded and redacted."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.probes import probe
from fraisier_core.engine.recorder import Recorder
from fraisier_core.health import Health
from fraisier_core.release import Release
from fraisier_core.run import Argument, Run, S
from fraisier_core.system.commands import Limits, run_command
from fraisier_core.system.processes import ProcessIdentity

DEPLOYMENT_VARIABLE = "FRAISIER_DEPLOYMENT"


class RecordedRun(Run[S]):
    """A run whose steps, output and commands go through a recorder.

    Args:
        recorder: writes down what happens.
        cancellation: says when to stop.
        activate: what the engine does to activate a release.
        started: told of every command, so that recovery can end it.
        deployment_id: marks the commands' environment, so that recovery finds those that broke away.
    """

    def __init__(
        self,
        fraise: str,
        environment: str,
        settings: S,
        release: Release,
        previous: Release | None,
        *,
        in_place: bool,
        deployment_id: str,
        recorder: Recorder,
        cancellation: CancellationToken,
        activate: Callable[[Release], None],
        started: Callable[[ProcessIdentity], None],
    ) -> None:
        super().__init__(fraise, environment, settings, release, previous, in_place=in_place)
        self._deployment_id = deployment_id
        self._recorder = recorder
        self._cancellation = cancellation
        self._activate = activate
        self._started = started

    def step(self, name: str) -> AbstractContextManager[None]:
        self._cancellation.check()
        return self._recorder.step(name)

    def command(
        self,
        argv: Sequence[Argument],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        leave_running: bool = False,
    ) -> None:
        if not self._recorder.in_step:
            with self.step(Path(argv[0]).name):
                return self.command(argv, cwd=cwd, env=env, leave_running=leave_running)
        self._recorder.note(f"$ {' '.join(os.fspath(argument) for argument in argv)}")
        marked = {} if leave_running else {DEPLOYMENT_VARIABLE: self._deployment_id}
        with self._cancellation.explained():
            run_command(
                argv,
                cwd=cwd or self.release.path,
                env=self.command_environment() | marked | dict(env or {}),
                limits=self._limits(),
                on_output=self._recorder.write,
                cancelled=self._cancellation.event,
                on_start=None if leave_running else self._started,  # recovery must not end what it started
                leave_running=leave_running,
            )
        return None

    def note(self, text: str) -> None:
        self._recorder.note(text)

    def activate(self, release: Release | None = None) -> None:
        with self.step("activate"):
            self._activate(release or self.release)

    def probe(self) -> Health:
        check = self.settings.health_check
        if check is None:
            return Health(True, "no health_check is configured")
        with self._cancellation.explained():
            return probe(
                check,
                cwd=self.release.path,
                env=self.command_environment(),
                cancelled=self._cancellation.event,
            )

    def _limits(self) -> Limits:
        return Limits(wall=self.settings.timeout, silence=self.settings.silence_timeout)

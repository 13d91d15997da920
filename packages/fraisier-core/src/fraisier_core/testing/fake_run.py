"""A run without an engine, to test a deployer with."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

from fraisier_core.engine.link import Link
from fraisier_core.engine.probes import probe
from fraisier_core.errors import StepFailedError
from fraisier_core.health import Health
from fraisier_core.release import Release
from fraisier_core.run import Argument, Run, S, require_own_step
from fraisier_core.stored import Stored
from fraisier_core.system.commands import CommandResult, Limits, run_command

COMMAND_SECONDS = 60.0


class FakeRun(Run[S]):
    """A run without an engine: it really runs commands, switches the link and probes, and remembers it all.

    Args:
        settings: the environment's section.
        release: the release to deploy; the folder that holds it holds the other releases.
        previous: the previous release.
        fraise: the fraise's name.
        environment: the environment's name.
        in_place: whether `release.path` is `app_path` itself.
        arguments: of the job.
        requested_for: the deployment that requested this one.
        newest_stored: what the newest backup stored that is on record.
        folder: what stays between runs, by default a hidden folder in the release.

    Attributes:
        steps: the names of the steps, in order.
        failed: the names of the steps that raised.
        unrepeatable: the names of the steps that may not run again.
        commands: the argument lists of the commands, in order.
        activations: the releases that were activated, in order.
        stored: what was recorded as stored, in order.
        output: everything that was printed or noted.
    """

    def __init__(
        self,
        settings: S,
        release: Release,
        previous: Release | None = None,
        *,
        fraise: str = "my_api",
        environment: str = "production",
        in_place: bool = False,
        arguments: Sequence[str] = (),
        requested_for: str | None = None,
        newest_stored: Stored | None = None,
        folder: Path | None = None,
    ) -> None:
        names = (fraise, environment)
        super().__init__(
            *names,
            settings,
            release,
            previous,
            in_place=in_place,
            arguments=tuple(arguments),
            deployment_id=str(uuid4()),
            requested_for=requested_for,
            newest_stored=newest_stored,
            folder=folder or release.path / ".kept",
        )
        self.steps: list[str] = []
        self.failed: list[str] = []
        self.unrepeatable: list[str] = []
        self.commands: list[tuple[str, ...]] = []
        self.activations: list[Release] = []
        self.stored: list[Stored] = []
        self.output = ""
        self._in_step = False

    def step(self, name: str, *, repeatable: bool = True) -> AbstractContextManager[None]:
        require_own_step(name)
        return self._step(name, repeatable=repeatable)

    @contextmanager
    def _step(self, name: str, *, repeatable: bool = True) -> Iterator[None]:
        if self._in_step:
            nested = f"step {name!r} was started inside step {self.steps[-1]!r}"
            raise StepFailedError(f"{nested}: steps do not nest")
        self.steps.append(name)
        self.unrepeatable += [] if repeatable else [name]
        self._in_step = True
        try:
            yield
        except BaseException:
            self.failed.append(name)
            raise
        finally:
            self._in_step = False

    def command(
        self,
        argv: Sequence[Argument],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        leave_running: bool = False,
        check: bool = True,
    ) -> CommandResult:
        if not self._in_step:
            with self.step(Path(argv[0]).name):
                return self.command(argv, cwd=cwd, env=env, leave_running=leave_running, check=check)
        settings = self.settings
        self.commands.append(tuple(os.fspath(argument) for argument in argv))
        return run_command(
            argv,
            cwd=cwd or self.release.path,
            env=self.command_environment() | dict(env or {}),
            limits=Limits(wall=min(settings.timeout, COMMAND_SECONDS), silence=settings.silence_timeout),
            on_output=self._print,
            cancelled=threading.Event(),
            leave_running=leave_running,
            check=check,
        )

    def note(self, text: str) -> None:
        self.output += f"{text}\n"

    def activate(self, release: Release | None = None) -> None:
        if self.in_place:
            return
        release = release or self.release
        with self._step("activate"):
            self.activations.append(release)
            if self.settings.app_path is not None:
                Link(self.settings.app_path, release.path.parent).activate(release)

    def record_stored(self, stored: Stored) -> None:
        self.stored.append(stored)

    def probe(self) -> Health:
        check = self.settings.health_check
        if check is None:
            return Health(True, "no health_check is configured", final=True)
        environment = self.command_environment()
        check = check.for_commit(self.commit_sha)
        return probe(check, cwd=self.release.path, env=environment, cancelled=threading.Event())

    def _print(self, data: bytes) -> None:
        self.output += data.decode(errors="replace")

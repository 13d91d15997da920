"""What every fraise type must do, as tests that a deployer's own tests inherit, and a run to test it with."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from fraisier_core.engine.link import Link
from fraisier_core.engine.probes import probe
from fraisier_core.errors import StepFailedError
from fraisier_core.health import Health
from fraisier_core.plugins import DEPLOYERS, Deployer, Plugins
from fraisier_core.release import Release
from fraisier_core.run import Argument, Run, S, require_own_step
from fraisier_core.settings import EnvironmentSettings
from fraisier_core.system.commands import CommandResult, Limits, run_command

COMMAND_SECONDS = 60.0
Section = Mapping[str, object]


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

    Attributes:
        steps: the names of the steps, in order.
        failed: the names of the steps that raised.
        unrepeatable: the names of the steps that may not run again.
        commands: the argument lists of the commands, in order.
        activations: the releases that were activated, in order.
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
    ) -> None:
        names = (fraise, environment)
        super().__init__(*names, settings, release, previous, in_place=in_place, arguments=tuple(arguments))
        self.steps: list[str] = []
        self.failed: list[str] = []
        self.unrepeatable: list[str] = []
        self.commands: list[tuple[str, ...]] = []
        self.activations: list[Release] = []
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

    def probe(self) -> Health:
        check = self.settings.health_check
        if check is None:
            return Health(True, "no health_check is configured", final=True)
        environment = self.command_environment()
        check = check.for_commit(self.commit_sha)
        return probe(check, cwd=self.release.path, env=environment, cancelled=threading.Event())

    def _print(self, data: bytes) -> None:
        self.output += data.decode(errors="replace")


class DeployerConformance:
    """Base of a fraise type's tests: subclass it, say the following, and pytest runs the rest::

        class TestMyType(DeployerConformance):
            plugin = fraisier_mytype

            def working(self, release):
                (release / "install.sh").write_text("true")
                return {"script": "install.sh"}

            def failing(self, release):
                (release / "install.sh").write_text("exit 1")
                return {"script": "install.sh"}

            def failing_late(self, release):
                return {**self.working(release), "restart": ["false"]}

    Args:
        plugin: the module that holds the hooks.
    """

    plugin: ModuleType

    def working(self, release: Path) -> Mapping[str, object]:
        """Write a release that can be deployed, and return its environment's section.

        Args:
            release: the release's empty directory; the section need not say `app_path`.
        """
        raise NotImplementedError

    def failing(self, release: Path) -> Mapping[str, object]:
        """Write a release of which a step fails before it is activated, and return its environment's section.

        Args:
            release: as in `working`.
        """
        raise NotImplementedError

    def failing_late(self, release: Path) -> Mapping[str, object] | None:
        """Write a release of which a step fails after another changed what runs, and return its section.

        None if this type changes what runs by `run.activate()` alone.

        Args:
            release: as in `working`.
        """
        raise NotImplementedError

    @pytest.fixture
    def deployer(self) -> Deployer:
        """The plugin under test, loaded as the application loads it."""
        entry_point = EntryPoint("conforming", self.plugin.__name__, DEPLOYERS.group)
        return Plugins([entry_point]).deployer(entry_point.name)

    def test_the_plugin_is_loaded(self, deployer: Deployer) -> None:
        assert issubclass(deployer.settings_model, EnvironmentSettings)

    def test_the_settings_take_what_every_environment_may_say(
        self, deployer: Deployer, tmp_path: Path
    ) -> None:
        common = {"name": "api.example.com", "branch": "main", "health_check": {"tcp": "localhost:80"}}
        settings = deployer.settings_model.model_validate({**self.working(tmp_path), **common})
        assert (settings.name, settings.branch) == ("api.example.com", "main")

    def test_the_settings_refuse_an_unknown_key(self, deployer: Deployer, tmp_path: Path) -> None:
        with pytest.raises(ValidationError, match="brnach"):
            deployer.settings_model.model_validate({**self.working(tmp_path), "brnach": "main"})

    def test_the_settings_are_frozen_and_show_no_value(self, deployer: Deployer, tmp_path: Path) -> None:
        section = {**self.working(tmp_path), "name": "shown nowhere"}
        settings = deployer.settings_model.model_validate(section)
        with pytest.raises(ValidationError):
            settings.name = "other"  # type: ignore[misc]
        assert "shown nowhere" not in repr(settings)

    def test_the_settings_have_a_json_schema(self, deployer: Deployer) -> None:
        assert "app_path" in deployer.settings_model.model_json_schema()["properties"]

    def test_a_release_is_deployed(self, deployer: Deployer, tmp_path: Path) -> None:
        run = self._run(deployer, tmp_path, "1")
        deployer.call("deploy", run, run.release)
        assert run.failed == []
        _assert_serving(run, run.release)

    def test_the_steps_are_those_that_it_tells(self, deployer: Deployer, tmp_path: Path) -> None:
        run = self._run(deployer, tmp_path, "1")
        here = run.release.path
        told = deployer.steps(run.settings, {str(path.relative_to(here)) for path in here.rglob("*")})
        deployer.call("deploy", run, run.release)
        assert told is None or list(told) == run.steps

    def test_a_release_is_deployed_again(self, deployer: Deployer, tmp_path: Path) -> None:
        for _ in range(2):
            run = self._run(deployer, tmp_path, "1")
            deployer.call("deploy", run, run.release)
        _assert_serving(run, run.release)

    def test_a_release_is_deployed_in_place(self, deployer: Deployer, tmp_path: Path) -> None:
        clone = tmp_path / "app"
        clone.mkdir()
        settings = deployer.settings_model.model_validate({**self.working(clone), "app_path": clone})
        run = FakeRun(settings, Release("1" * 40, clone, "1" * 40), in_place=True)
        deployer.call("deploy", run, run.release)
        assert run.failed == []

    def test_a_failing_step_raises_and_nothing_is_activated(self, deployer: Deployer, tmp_path: Path) -> None:
        run = self._run(deployer, tmp_path, "1", self.failing(_directory(tmp_path, "1")))
        with pytest.raises(Exception, match=r"."):
            deployer.call("deploy", run, run.release)
        assert run.activations == []

    def test_activation_comes_before_any_other_change(self, deployer: Deployer, tmp_path: Path) -> None:
        section = self.failing_late(_directory(tmp_path, "1"))
        run = self._run(deployer, tmp_path, "1", section)
        if section is None:
            deployer.call("deploy", run, run.release)
            assert run.steps[-1] == "activate"
        else:
            with pytest.raises(Exception, match=r"."):
                deployer.call("deploy", run, run.release)
            assert run.activations == [run.release]

    @pytest.mark.parametrize("program", ["true", "false"])
    def test_the_health_check_follows_the_configured_probe(
        self, deployer: Deployer, tmp_path: Path, program: str
    ) -> None:
        run = self._run(deployer, tmp_path, "1", health_check={"command": [program]})
        deployer.call("deploy", run, run.release)
        assert deployer.health_check(run).healthy is (program == "true")

    def test_what_was_deployed_is_watched_and_found_running(self, deployer: Deployer, tmp_path: Path) -> None:
        run = self._run(deployer, tmp_path, "1")
        deployer.call("deploy", run, run.release)
        look = deployer.watch(run)
        if look is not None:
            look()

    def test_an_earlier_release_is_restored(self, deployer: Deployer, tmp_path: Path) -> None:
        earlier, newer = self._run(deployer, tmp_path, "1"), self._run(deployer, tmp_path, "2")
        deployer.call("deploy", earlier, earlier.release)
        deployer.call("deploy", newer, newer.release)
        back = FakeRun(newer.settings, earlier.release, newer.release)
        deployer.call("rollback", back, earlier.release)
        assert back.failed == []
        _assert_serving(back, earlier.release)

    def _run(
        self, deployer: Deployer, folder: Path, name: str, section: Section | None = None, **more: object
    ) -> FakeRun[Any]:
        path = _directory(folder, name)
        section = self.working(path) if section is None else section
        keys = {**section, "app_path": folder / "app", **more}
        return FakeRun(deployer.settings_model.model_validate(keys), Release(name, path, name * 40))


def _directory(folder: Path, release: str) -> Path:
    path = folder / "releases" / release
    path.mkdir(parents=True, exist_ok=True)
    return path


def _assert_serving(run: FakeRun[Any], release: Release) -> None:
    assert run.activations[-1:] == [release]
    assert run.settings.app_path.resolve() == release.path.resolve()

"""An environment of one fraise type, whose deployments processes of their own execute, as a worker's do."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from multiprocessing.connection import Connection
from pathlib import Path

from fraisier_core.config import Config, parse_config
from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.execution import DeploymentContext
from fraisier_core.engine.leftovers import take_over
from fraisier_core.job_settings import JobSettings, LimitsSection
from fraisier_core.plugins import DEPLOYERS, STORES, Plugins
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment, Lease, Request
from fraisier_core.store.vocabulary import ENDED
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity, kill_group
from fraisier_core.testing.forge import Forge
from fraisier_core.worker.assignment import Assignment, receive, send
from fraisier_core.worker.launcher import fork
from fraisier_core.worker.process import DeploymentProcess

FRAISE, ENVIRONMENT, TYPE = "conforming", "production", "conforming"
HEALTHY = "healthy"
SECRET = "hunter2-hunter2"  # noqa: S105 - no test may find it
SECRET_VARIABLE = "CONFORMANCE_SECRET"  # noqa: S105 - its name
PATIENCE_SECONDS = 30.0
Section = Mapping[str, object]


@dataclass(slots=True)
class Installation:
    """The environment `production`; it is healthy where its release holds the file `healthy`.

    Args:
        folder: where everything is; the test's own.
        plugin: the name of the module that holds the hooks.
        section: what the environment's section says beside what every test needs; a push replaces it.
        database: the url of the store, by default of a file in the folder.

    Attributes:
        last_steps: the names of the steps of what was executed last.
    """

    folder: Path
    plugin: str
    section: Section = field(default_factory=dict)
    database: str | None = None
    last_steps: Sequence[str] = ()
    _forge: Forge | None = None
    _written: int = 0
    _plugins: Plugins | None = None
    _read: tuple[str, Config] | None = None

    @property
    def plugins(self) -> Plugins:
        """The plugin under test and the stores."""
        if self._plugins is None:
            tested = EntryPoint(TYPE, self.plugin, DEPLOYERS.group)
            self._plugins = Plugins([tested, *entry_points(group=STORES.group)])
        return self._plugins

    @property
    def forge(self) -> Forge:
        """Where the commits come from."""
        self._forge = self._forge or Forge.create(self.folder / "forge")
        return self._forge

    @property
    def app_path(self) -> Path:
        """The link to the serving release."""
        return self.folder / "app"

    @property
    def log(self) -> Path:
        """What the processes print that execute the deployments."""
        return self.folder / "processes.log"

    def configuration(self) -> str:
        """Return the text of the configuration: YAML with a line for each key."""
        is_deployed = "deploy" in self.plugins.deployer(TYPE).kinds
        environment = {**(self._of_deployments() if is_deployed else {}), **self.section}
        environment["env"] = {**_mapping(self.section.get("env")), "SECRET": f"${{{SECRET_VARIABLE}}}"}
        repository = {"repository": self.forge.url} if is_deployed else {}
        fraise = {"type": TYPE, **repository, "environments": {ENVIRONMENT: environment}}
        database = {"database": {"url": self.database}} if self.database else {}
        return json.dumps({**database, "fraises": {FRAISE: fraise}}, indent=1, default=str)

    def _of_deployments(self) -> dict[str, object]:
        """Return what the environment says of a type that is deployed."""
        probe = {"command": ["test", "-e", HEALTHY], "retries": 1, "interval": 0}
        place = {"branch": "main", "app_path": str(self.app_path), "stable_for": 0}
        return {**place, "health_check": probe}

    def config(self) -> Config:
        """Return the configuration as it is read. Raises `ConfigurationError`."""
        text, path = self.configuration(), self.folder / "fraises.yaml"
        if self._read is None or self._read[0] != text:
            self._read = (text, parse_config(text, path, self.plugins, {SECRET_VARIABLE: SECRET}))
        return self._read[1]

    def push(self, write: Callable[[Path], Section | None], *, healthy: bool = True) -> str | None:
        """Push the release that `write` writes, configure the section that it returns, and return the commit;
        None, and nothing is pushed, if it returns none.

        Args:
            write: a method of a type's tests, such as `working`.
            healthy: whether the health check will succeed.
        """
        self._written += 1
        folder = self.folder / "written" / str(self._written)
        folder.mkdir(parents=True)
        section = write(folder)
        if section is None:
            return None
        self.section = section
        self.forge.git("rm", "-rq", "--ignore-unmatch", ".")
        shutil.copytree(folder, self.forge.clone, dirs_exist_ok=True)
        named = {"written": str(self._written)} | ({HEALTHY: ""} if healthy else {})
        return self.forge.push_files(named)

    def execute(
        self,
        commit: str | None = None,
        *,
        kind: str = "deploy",
        release: str | None = None,
        arguments: tuple[str, ...] = (),
        killed_at: str | None = None,
        meanwhile: Callable[[str, ProcessIdentity], None] | None = None,
    ) -> Deployment:
        """Execute a deployment in a process of its own to its end, recovery included, and return it.

        Args:
            commit: what to deploy, by default the newest.
            kind: the name of a row of `KINDS`.
            release: what to roll back to.
            arguments: of a run.
            killed_at: the failpoint at which the process is killed.
            meanwhile: called with the deployment's id and process while it is executed.

        Raises `AssertionError` if it does not end in time, or never gets to the failpoint.
        """
        ref = "refs/heads/main" if kind == "deploy" else None
        request = Request(FRAISE, ENVIRONMENT, kind, "manual", "conformance", ref, commit)
        request = request._replace(release=release, arguments=arguments)
        config, fault = self.config(), self.folder / "fault"
        fault.unlink(missing_ok=True)
        with self._process(config, killed_at, fault) as (line, process), self.store() as store:
            configure_store(store, config, executes=True)
            (deployment_id,) = store.request_all([request])
            claimed = store.claim(process, deployment_id)
            assert claimed is not None, "something else is under way"
            send(line, Assignment.under(config, claimed.deployment, claimed.lease, recover=False))
            if meanwhile is not None:
                meanwhile(deployment_id, process)
            _wait(line, process)
        self._recover(config)
        done = self.deployment(deployment_id)
        got_there = killed_at is None or fault.exists()
        assert got_there, f"{killed_at} was never reached: {done.error_message}"
        assert done.status in ENDED, f"{done.status} after recovery"
        return done

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store, open only meanwhile: a process that is forked must not have it."""
        database = self.config().database
        with closing(self.plugins.store(database).open(database, Host())) as store:
            yield store

    def deployment(self, deployment_id: str) -> Deployment:
        """Return a deployment as it is recorded, and remember its steps."""
        with self.store() as store:
            self.last_steps = [step.name for step in store.steps(deployment_id)]
            return store.deployment(deployment_id)

    def output(self, deployment: Deployment) -> str:
        """Return all that is recorded of what a deployment printed."""
        with self.store() as store:
            return "".join(chunk.text for chunk in store.log(deployment.id))

    def serving(self) -> str | None:
        """Return the name of the release that serves by the record, None if that is unknown."""
        with self.store() as store:
            serving = store.serving(FRAISE, ENVIRONMENT)
        return serving.release if serving else None

    def linked(self) -> str | None:
        """Return the name of the release that the link leads to."""
        return self.app_path.resolve().name if self.app_path.is_symlink() else None

    def _recover(self, config: Config) -> None:
        """Recover what a killed process left, as a worker does."""
        while self._expired():
            with self._process(config) as (line, process):
                with self.store() as store:
                    lease = take_over(store, Host(), store.expired()[0], process)
                    assert lease is not None
                    deployment = store.deployment(lease.deployment_id)
                send(line, Assignment.under(config, deployment, lease, recover=True))
                _wait(line, process)

    def _expired(self) -> list[Lease]:
        with self.store() as store:
            return [held.lease for held in store.expired()]

    @contextmanager
    def _process(
        self, config: Config, killed_at: str | None = None, fault: Path = Path()
    ) -> Iterator[tuple[Connection, ProcessIdentity]]:
        fate = {"FRAISIER_FAILPOINT": f"{killed_at}:kill", "FRAISIER_FAILPOINT_FILE": str(fault)}

        def work(line: Connection) -> None:
            _print_to(self.log)
            os.environ |= fate if killed_at else {}
            _WithoutUnits(config.database, Host(), self.plugins, [])(line)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it uses nothing that other threads hold
            line = fork("deployment process", work)
        with closing(line):
            process = receive(line)
            assert process is not None, self.log.read_text()
            try:
                yield line, process
            finally:
                kill_group(process)
                os.waitpid(process.pid, 0)


class _WithoutUnits(DeploymentProcess):
    """A deployment process of a host that has no units of systemd to install or to compare."""

    def _context(self, assignment: Assignment, cancellation: CancellationToken) -> DeploymentContext:
        context = DeploymentProcess._context(self, assignment, cancellation)
        if not isinstance(context.settings, JobSettings):
            return context
        unlimited = {"schedule": None, "limits": LimitsSection()}
        return replace(context, settings=context.settings.model_copy(update=unlimited))


def _wait(line: Connection, process: ProcessIdentity) -> None:
    """Wait until a process has hung up, which it does when it ends."""
    assert line.poll(PATIENCE_SECONDS), f"the deployment did not end within {PATIENCE_SECONDS:g} s"
    assert receive(line) is None, process


def _print_to(log: Path) -> None:
    """Have this process print into a file, whatever pytest has made of its output."""
    sys.stdout = sys.stderr = log.open("a", buffering=1)
    for standard in (1, 2):
        os.dup2(sys.stdout.fileno(), standard)
    logging.basicConfig(stream=sys.stderr, force=True)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}

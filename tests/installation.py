"""An environment whose deployments are executed in the process of the test."""

from __future__ import annotations

import os
from pathlib import Path

from fraisier_core.config import parse_config
from fraisier_core.engine.cancellation import CancellationToken
from fraisier_core.engine.execution import Execution, open_context
from fraisier_core.engine.forward import execute
from fraisier_core.engine.recorder import Recorder
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.records import Deployment, Lease, Request
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.testing.forge import Forge
from fraisier_core.text.redaction import Redactor

from tests.packages import PackageFolder
from tests.stores import open_store

ME = ProcessIdentity.of(os.getpid())


class Installation:
    """The environment `production` of the fraise `site`, whose deployments are executed in this process.

    Args:
        folder: where everything is.
        forge: where its commits come from.
        packages: where its fraise type, `static`, is installed.
        deployer: the source of that type.
        configuration: a template, to be filled with `repository` and `folder`.
    """

    def __init__(
        self, folder: Path, forge: Forge, packages: PackageFolder, deployer: str, configuration: str
    ) -> None:
        packages.deployer("static", deployer)
        self.folder, self.forge, self.plugins = folder, forge, packages.plugins()
        text = configuration.format(repository=forge.url, folder=folder)
        self.config = parse_config(text, folder / "fraises.yaml", self.plugins)
        self.database = open_store(self.config.database)
        self.store = open_store(self.config.database)
        configure_store(self.store, self.config, executes=True)
        self.stop = CancellationToken()

    def claim(self, commit: str | None = None, **changes: object) -> Lease:
        values = {
            "kind": "deploy",
            "trigger": "manual",
            "requested_by": "ada",
            "ref": "refs/heads/main",
        } | changes
        self.store.request(Request("site", "production", commit_sha=commit, **values))  # type: ignore[arg-type]
        lease = self.store.leased(ME)
        assert lease is not None
        return lease

    def execution(self, lease: Lease) -> Execution:
        context = open_context(self.config.resolved("site", "production"), self.plugins, self.stop)
        steps = self.store.steps(lease.deployment_id)
        recorder = Recorder(
            self.store, lease, self.deployment(lease), Redactor({"hunter2hunter2"}), len(steps)
        )
        return Execution(context, self.store, recorder, self.stop)

    def execute(self, commit: str | None = None, **changes: object) -> Deployment:
        lease = self.claim(commit, **changes)
        execute(self.execution(lease))
        return self.deployment(lease)

    def execute_claimed(self, deployment_id: str | None = None) -> Deployment:
        """Execute what was requested before, by default the next."""
        lease = self.store.leased(ME, deployment_id)
        assert lease is not None
        execute(self.execution(lease))
        return self.deployment(lease)

    def deployment(self, lease: Lease) -> Deployment:
        return self.store.deployment(lease.deployment_id)

    def steps(self, deployment: Deployment) -> list[tuple[str, str]]:
        return [(step.name, step.status) for step in self.database.steps(deployment.id)]

    @property
    def serving(self) -> str | None:
        serving = self.store.serving("site", "production")
        return serving.commit_sha if serving else None

    @property
    def current(self) -> str:
        return (self.folder / "app").resolve(strict=True).name

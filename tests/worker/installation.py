"""A fraise of a type that is not installed, so that deployments fail at once; its store, and workers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path

from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import Plugins
from fraisier_core.requests.requesting import configure_store
from fraisier_core.store.records import Deployment, Request
from fraisier_core.system.processes import descendants

from tests.stores import OpenStore
from tests.waiting import wait_until

WORKER = """
import json
import logging
import sys
from importlib.metadata import entry_points
from pathlib import Path
from fraisier_core.config.source import ConfigSource
from fraisier_core.plugins import Plugins
from fraisier_core.worker.daemon import Worker

logging.basicConfig(level=logging.INFO)
plugins = Plugins(entry_points(group="fraisier.stores"))
source = ConfigSource(Path(sys.argv[1]), plugins)
Worker(source, plugins, **json.loads(sys.argv[2])).run()
"""
CONFIGURATION = """\
database: {{url: "{url}"}}
fraises:
  {fraise}:
    type: not-installed
    repository: https://example.com/acme/api.git
    environments:
      production: {{branch: main}}
      staging: {{branch: main}}
"""
REQUEST = Request("api", "production", "deploy", "manual", "ada", "main", "c" * 40)


class Installation:
    """A configuration, its store, and workers.

    Args:
        folder: for the configuration and the state.
        url: of the database.
        open_store: returns the store.
    """

    def __init__(self, folder: Path, url: str, open_store: Callable[[], OpenStore]) -> None:
        self.folder = folder
        self.url = url
        self.configure("api")
        self.config = ConfigSource(
            folder / "fraises.yaml", Plugins(entry_points(group="fraisier.stores"))
        ).current()
        self._open = open_store
        self.workers: list[subprocess.Popen[str]] = []

    @cached_property
    def store(self) -> OpenStore:
        """The store, which is told what is configured."""
        found = self._open()
        configure_store(found, self.config, executes=True)
        return found

    def configure(self, fraise: str) -> None:
        text = CONFIGURATION.format(fraise=fraise, url=self.url)
        (self.folder / "new.yaml").write_text(text)
        (self.folder / "new.yaml").rename(self.folder / "fraises.yaml")

    def start(self, supervisor: int | None = None, **settings: float) -> subprocess.Popen[str]:
        """Start a worker, and wait until it is ready."""
        worker = self.launch(supervisor, **settings)
        wait_until(lambda: self.store.live_workers() == len(self.workers))
        wait_until(lambda: len(descendants(worker.pid)) == 3)  # the launcher, and a process for each slot
        return worker

    def launch(self, supervisor: int | None = None, **settings: float) -> subprocess.Popen[str]:
        given = json.dumps({"supervisor": supervisor, **settings})
        argv = [sys.executable, "-c", WORKER, str(self.folder / "fraises.yaml"), given]
        handles = [] if supervisor is None else [supervisor]
        with self.log.open("a") as log:
            worker = subprocess.Popen(argv, stderr=log, text=True, pass_fds=handles)
        self.workers.append(worker)
        return worker

    @property
    def log(self) -> Path:
        """What the workers said."""
        return self.folder / "worker.log"

    def said(self, text: str, times: int = 1) -> list[str]:
        """Wait until a worker has said something so often, and return the lines."""
        found: list[str] = []

        def is_said() -> bool:
            found[:] = [line for line in self.log.read_text().splitlines() if text in line]
            return len(found) >= times

        wait_until(is_said, self.log.read_text)
        return found

    def ended(self, deployment_id: str) -> Deployment:
        wait_until(lambda: self.store.deployment(deployment_id).completed_at, self.log.read_text)
        return self.store.deployment(deployment_id)

    def close(self) -> None:
        """Kill what is left of the workers."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        if "store" in self.__dict__:
            self.store.close()

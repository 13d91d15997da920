"""A web app with the GraphQL API, over a store of the test's own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fraisier_core.testing import Forge

from tests.databases import Database
from tests.stores import OpenStore
from tests.waiting import wait_until

BIN = Path(sys.executable).parent
SECONDS = 60.0
CONFIG = """
database: {{url: '{database}'}}
graphql: {{development: {development}}}
git: {{github: {{webhook_secret: a secret of this test}}}}
fraises:
  my_api:
    type: api
    description: My GraphQL API
    repository: {repository}
    environments:
      production:
        branch: main
        app_path: {folder}/app
        restart: [touch, {folder}/restarted]
        health_check: {{command: [test, -f, page.txt], retries: 1}}
        stable_for: 0
      staging: {{branch: next, app_path: {folder}/staging}}
  loader:
    type: api
    repository: {repository}
    environments:
      production: {{branch: main, app_path: {folder}/loader}}
"""
JOB = """
  etl_job:
    type: etl
    repository: {repository}
    environments:
      production: {{branch: main, app_path: {folder}/job, script_path: load.sh}}
      staging: {{branch: main, app_path: {folder}/staged_job, script_path: load.sh}}
      skipping: {{branch: main, app_path: {folder}/skipping_job, script_path: load.sh, overlap: skip}}
"""


@dataclass(frozen=True, slots=True)
class Api:
    """The API at work.

    Args:
        url: where it listens.
        client: talks to it.
        headers: that are sent with each request.
    """

    url: str
    client: httpx.Client
    headers: Mapping[str, str] = field(default_factory=dict)

    def post(self, query: str, variables: Mapping[str, Any] | None = None, **more: Any) -> httpx.Response:
        """Ask, and return the response."""
        body = {"query": query, "variables": variables or {}, **more}
        return self.client.post("/graphql", json=body, headers=dict(self.headers))

    def ask(self, query: str, variables: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Ask for what there is, and return the data."""
        answer = self.post(query, variables, **more).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def errors(self, query: str, variables: Mapping[str, Any] | None = None, **more: Any) -> list[str]:
        """Ask for what is refused, and return the codes."""
        return [error["code"] for error in self.post(query, variables, **more).json()["errors"]]


@dataclass(frozen=True, slots=True)
class Host:
    """A folder with `fraises.yaml`, and its store.

    Args:
        folder: where it lies.
        database: where its store is.
        forge: where the commits come from.
        variables: more of the environment of its commands.
    """

    folder: Path
    database: Database
    forge: Forge
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path, database: Database, *, development: bool = True) -> Host:
        """Return a host on which nothing was deployed."""
        folder.mkdir()
        host = cls(folder, database, Forge.create(folder / "forge"))
        host.configure(development=development)
        return host

    def configure(self, *, development: bool) -> None:
        """Write the configuration."""
        text = CONFIG.format(
            database=self.database.url,
            development=str(development).lower(),
            repository=self.forge.url,
            folder=self.folder,
        )
        (self.folder / "fraises.yaml").write_text(text)

    def add_job(self, *environments: str, script: str = "echo loaded") -> None:
        """Add the fraise `etl_job`, whose script it pushes, and deploy it to some of its environments."""
        with (self.folder / "fraises.yaml").open("a") as configuration:
            configuration.write(JOB.format(repository=self.forge.url, folder=self.folder))
        self.forge.push_files({"load.sh": f"#!/bin/sh\n{script}\n"})
        for environment in environments:
            done = self.run("fraisier", "deploy", "etl_job", environment)
            assert done.returncode == 0, done.stderr

    def open(self) -> OpenStore:
        """Open the store."""
        return self.database.open()

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its commands."""
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "HOME": str(self.folder), "LANG": "C.UTF-8", **self.variables}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    @contextmanager
    def serving(self, *options: str) -> Iterator[Api]:
        """Run the web app, without a worker unless `--worker` is given."""
        log = self.folder / "webhook.log"
        command = [str(BIN / "fraisier-webhook"), "--port", "0", *(options or ["--no-worker"])]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, cwd=self.folder, env=self.environ, stdout=output, stderr=output
            ) as process,
        ):
            try:
                found = wait_until(lambda: _listening(process, log), log.read_text)
                with httpx.Client(base_url=found, timeout=SECONDS, trust_env=False) as client:
                    yield Api(found, client)
                process.send_signal(signal.SIGTERM)
                process.wait(SECONDS)
            finally:
                process.kill()


def _listening(process: subprocess.Popen[bytes], log: Path) -> str | None:
    text = log.read_text()
    assert process.poll() is None, text
    found = re.search(r"listening on (http://\S+)\n", text)
    return found[1] if found else None

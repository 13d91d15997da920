"""The real fraiseql-server for tests, over a store that real deployments fill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import BIN
from tests.environments import ROOT
from tests.waiting import wait_until

sys.path.append(str(ROOT / "script"))
import fraiseql_binaries as binaries
import fraiseql_serving as serving

CONFIGURATION = """\
database: {{url: "{url}"}}
state_dir: {folder}/state
fraises:
  my_api:
    type: api
    description: An API
    repository: {folder}/site
    environments:
      production: {{branch: main}}
      staging: {{branch: main}}
  other:
    type: api
    repository: {folder}/site
    environments:
      production: {{branch: main}}
"""


class Site:
    """A repository, and what deploys it into a store.

    Args:
        folder: for all of it.
        url: of a database.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.config = folder / "fraises.yaml"
        self.config.write_text(CONFIGURATION.format(url=url, folder=folder))
        self.repository = folder / "site"
        self._git("init", "--quiet", "--initial-branch=main", str(self.repository))
        self.commit()

    def commit(self) -> None:
        """Add a commit to the branch."""
        who = ("-c", "user.name=ada", "-c", "user.email=ada@example.com")
        self._git("-C", str(self.repository), *who, "commit", "--quiet", "--allow-empty", "--message=change")

    def fraisier(self, *arguments: str) -> str:
        """Run a command, which must succeed, and return what it printed."""
        command = [str(BIN / "fraisier"), "--config", str(self.config), *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Run a worker."""
        with subprocess.Popen([BIN / "fraisier", "--config", self.config, "worker"]) as worker:
            try:
                yield
            finally:
                worker.send_signal(signal.SIGTERM)

    @staticmethod
    def _git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], check=True)


class Served:
    """A server that listens on a port of the loopback address."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/graphql"

    def post(self, body: Any, **headers: str) -> tuple[int, Any]:
        """Send a body as JSON, and return the status and the parsed answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url, data, {"Content-Type": "application/json"} | headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def ask(self, document: str, **variables: Any) -> Any:
        """Return the data of a document, which has no errors."""
        _, found = self.post({"query": document, "variables": variables})
        assert "errors" not in found, found
        return found["data"]

    def refusal(self, document: str, **variables: Any) -> dict[str, Any]:
        """Return the one error of a document."""
        _, found = self.post({"query": document, "variables": variables})
        (error,) = found["errors"]
        return dict(error)


def require_binaries() -> None:
    """Skip the test if FraiseQL was not built here."""
    try:
        binaries.binary("fraiseql-server")
    except binaries.FraiseqlMissingError as error:
        pytest.skip(str(error))


@contextmanager
def served(url: str, folder: Path, port: int) -> Iterator[Served]:
    """Serve a store as `script/fraiseql` does, until the end."""
    serving.install(url)
    schema = serving.compiled(folder, "--database", url)
    command, environment = serving.server(url, schema, serving.SCHEMA / "server.development.toml", port)
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(port, process), (folder / "server.log").read_text)
        yield Served(port)
    finally:
        process.terminate()
        process.wait()


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the server has ended"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

"""The real fraiseql-server, over a store that real deployments fill."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.environments import ROOT
from tests.graphql.serving import BIN, SECONDS, Api, Host
from tests.postgres import PASSWORD
from tests.postgres_server import USER, Server
from tests.waiting import wait_until

sys.path.append(str(ROOT / "script"))
import fraiseql_binaries as binaries
import fraiseql_serving as serving


def require_binaries() -> None:
    """Skip the test if FraiseQL was not built here."""
    try:
        binaries.binary("fraiseql-server")
    except binaries.FraiseqlMissingError as error:
        pytest.skip(str(error))


def over_tcp(server: Server, url: str) -> str:
    """Return another URL of a database: fraiseql-server connects to no socket."""
    name = urlsplit(url).path
    return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}{name}"


def make_functions(server: Server, url: str) -> None:
    """Make what fraiseql-server needs in a store."""
    require_binaries()
    serving.install(over_tcp(server, url))


@contextmanager
def served(
    url: str, folder: Path, settings: str = "server.development.toml", user_url: str | None = None
) -> Iterator[Api]:
    """Serve a store as `script/fraiseql` does, once the schema was compared with it; `/ws` is beside it.

    Args:
        url: of the owner.
        folder: of the server's own.
        settings: its file in `schema/`.
        user_url: of the user that it logs in as, by default the owner.
    """
    serving.install(url)
    schema = serving.compiled(folder, "--database", url)
    port = free_port()
    command, environment = serving.server(user_url or url, schema, serving.SCHEMA / settings, port)
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    found = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: responds(found, process), (folder / "server.log").read_text)
        with httpx.Client(base_url=found, timeout=SECONDS, trust_env=False) as client:
            yield Api(found, client)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def working(host: Host) -> Iterator[None]:
    """Run a worker."""
    with subprocess.Popen([str(BIN / "fraisier"), "worker"], cwd=host.folder, env=host.environ) as worker:
        try:
            yield
        finally:
            worker.send_signal(signal.SIGTERM)


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def responds(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether the server at a URL is ready; fail if its process has ended."""
    assert process.poll() is None, "the server has ended"
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False

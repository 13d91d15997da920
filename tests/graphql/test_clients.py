"""The clients that people use: `gql` and `graphql-ws` ask, request and subscribe, of both servers."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from tests.databases import SqliteDatabase, new_postgres
from tests.graphql.fraiseql_server import over_tcp, require_binaries, served, working
from tests.graphql.serving import Api, Host
from tests.postgres import Servers

HISTORY = '{ deploymentHistory(fraiseId: "my_api", limit: 1) { status } }'
DEPLOY = 'mutation { deploy(fraiseId: "my_api", environment: "production") { status } }'
CHANGES = 'subscription { deploymentStatusChanged(fraiseId: "my_api") { status completedAt } }'
NEW = {"PENDING", "RUNNING"}
SECONDS = 60.0
CLIENT = Path(__file__).with_name("client")


@pytest.fixture(params=["web app", "fraiseql-server"])
def server(request: pytest.FixtureRequest) -> str:
    """Which server is asked."""
    return str(request.param)


@pytest.fixture
def api(server: str, tmp_path: Path, postgres_servers: Servers) -> Iterator[Api]:
    """The API of the server, and a worker."""
    if server == "web app":
        host = Host.create(tmp_path / "host", SqliteDatabase(tmp_path / "state" / "store.db"))
        host.forge.push_files({"page.txt": "one"})
        with host.serving("--worker") as api:
            yield api
        return
    require_binaries()
    host = Host.create(tmp_path / "host", new_postgres(postgres_servers(18)))
    host.forge.push_files({"page.txt": "one"})
    done = host.run("fraisier", "deploy", "my_api", "staging")  # which makes the store
    url = over_tcp(postgres_servers(18), host.database.url)
    with served(url, tmp_path) as api, working(host):
        yield api
    assert done.returncode != 0


def test_gql_asks_requests_and_subscribes(api: Api) -> None:
    async def heard() -> list[Any]:
        transport = WebsocketsTransport(
            f"{api.url.replace('http', 'ws', 1)}/ws", subprotocols=["graphql-transport-ws"]
        )
        asking = Client(transport=HTTPXAsyncTransport(f"{api.url}/graphql"), execute_timeout=SECONDS)
        async with Client(transport=transport) as socket, asking as http:
            news = socket.subscribe(gql(CHANGES))
            first = asyncio.ensure_future(anext(news))
            await asyncio.sleep(0)
            await transport.send_ping()
            await transport.pong_received.wait()
            before = await http.execute(gql(HISTORY))
            requested = await http.execute(gql(DEPLOY))
            changes = [await first, *[await anext(news) for _ in range(2)]]
            await news.aclose()
        await transport.wait_closed()
        return [before, requested, *changes]

    before, requested, *changes = asyncio.run(asyncio.wait_for(heard(), SECONDS))
    assert "deploymentHistory" in before
    assert requested["deploy"]["status"] in NEW
    assert_deployed([each["deploymentStatusChanged"] for each in changes])


def test_graphql_ws_subscribes_and_asks_over_the_socket_if_the_server_can(api: Api, server: str) -> None:
    asked = [HISTORY] if server == "web app" else []
    process = subprocess.Popen(
        ["node", client() / "subscribe.js", f"{api.url.replace('http', 'ws', 1)}/ws", CHANGES, "3", *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines = map(json.loads, process.stdout)
        for _ in asked:
            assert "deploymentHistory" in next(lines)["data"]
        assert next(lines) == "ready"
        assert api.ask(DEPLOY)["deploy"]["status"] in NEW
        assert_deployed([each["data"]["deploymentStatusChanged"] for each in lines])
    assert process.returncode == 0


def assert_deployed(changes: list[Any]) -> None:
    assert [each["status"] for each in changes] == ["PENDING", "RUNNING", "SUCCESS"]
    assert [each["completedAt"] is None for each in changes] == [True, True, False]


def client() -> Path:
    """Return the folder of the client in JavaScript, its packages installed as locked; they are kept."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("graphql-ws needs Node: apt-get install nodejs npm")
    files = [CLIENT / name for name in ("package.json", "package-lock.json", "subscribe.js")]
    name = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    folder = Path.home() / ".cache" / "fraisier" / f"graphql-ws-{name}"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, folder)
        quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        subprocess.run([npm, "ci", *quiet], cwd=folder, check=True)
        (folder / "installed").touch()
    return folder

"""fraiseql-server behind nginx, configured as its page says, which asks the web app who may use it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.databases import new_postgres
from tests.environments import ROOT
from tests.graphql.fraiseql_server import free_port, over_tcp, require_binaries, served
from tests.graphql.serving import Api, Host
from tests.graphql.test_fraiseql_server import CHANGES, HISTORY, PROTOCOL
from tests.graphql.test_proxies import issued
from tests.pages import blocks
from tests.postgres import Servers
from tests.waiting import wait_until

PAGE = ROOT / "docs/how-to/fraiseql-server.md"
MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    {temporary}
{servers}
}}
"""
KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@pytest.fixture(scope="module")
def host(postgres_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host whose web app wants tokens."""
    require_binaries()
    host = Host.create(tmp_path_factory.mktemp("host") / "host", new_postgres(postgres_servers(18)))
    host.configure(development=False)
    return host


@pytest.fixture(scope="module")
def proxy(
    host: Host, postgres_servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Talks to the proxy."""
    url = over_tcp(postgres_servers(18), host.database.url)
    with (
        host.serving() as web,
        served(url, tmp_path_factory.mktemp("server")) as server,
        _proxied(web, server, tmp_path_factory.mktemp("nginx")) as found,
    ):
        yield found


@contextmanager
def _proxied(web: Api, server: Api, folder: Path) -> Iterator[httpx.Client]:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if nginx is None:
        pytest.skip("nginx is not installed here")
    configuration = folder / "nginx.conf"
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in KINDS)
    port = free_port()
    servers = _servers(web.url.rpartition(":")[2], server.url.rpartition(":")[2], port)
    configuration.write_text(MAIN.format(folder=folder, temporary=temporary, servers=servers))
    process = subprocess.Popen([nginx, "-c", str(configuration), "-p", str(folder)])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            wait_until(lambda: process.poll() is not None or _listens(client))
            yield client
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def _servers(web: str, server: str, port: int) -> str:
    """Return what the page says, on other ports, and without certificates."""
    (text,) = (block.text for block in blocks(PAGE) if block.language == "nginx")
    text = re.sub(r" *ssl_certificate.*\n", "", text).replace("8443 ssl", f"127.0.0.1:{port}")
    return text.replace(":8080", f":{web}").replace(":8000", f":{server}")


def _listens(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code == 404
    except httpx.TransportError:
        return False


def _asked(proxy: httpx.Client, secret: str | None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return proxy.post("/graphql", json={"query": HISTORY}, headers=headers)


def test_a_token_for_everything_is_let_through_and_no_other(host: Host, proxy: httpx.Client) -> None:
    secret, token = issued(host, "deploy")
    assert _asked(proxy, secret).json() == {"data": {"deploymentHistory": []}}
    assert [_asked(proxy, each).status_code for each in (None, f"{secret}x")] == [401, 401]
    assert proxy.get("/admission").status_code == 404
    assert proxy.get("/health", headers={"Authorization": f"Bearer {secret}"}).status_code == 404
    with closing(host.open()) as store:
        assert store.revoke_token(token, "ada")
    assert _asked(proxy, secret).status_code == 401


@pytest.mark.parametrize("scope", ["read", "deploy:my_api", "read:my_api/production"])
def test_a_token_for_less_is_refused(host: Host, proxy: httpx.Client, scope: str) -> None:
    secret, _ = issued(host, scope)
    assert _asked(proxy, secret).status_code == 403


def test_a_subscriber_is_admitted_by_the_handshake(host: Host, proxy: httpx.Client) -> None:
    secret, _ = issued(host, "deploy")
    url = f"ws://{proxy.base_url.netloc.decode()}/ws"
    with pytest.raises(InvalidStatus, match="401"):
        connect(url, subprotocols=[PROTOCOL])
    headers = {"Authorization": f"Bearer {secret}"}
    with connect(url, subprotocols=[PROTOCOL], additional_headers=headers) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(10))["type"] == "connection_ack"
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": CHANGES}}))

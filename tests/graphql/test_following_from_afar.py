"""A deployment is followed from afar by a WebSocket, or once a second if a proxy refuses that."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from fraisier.remote.remote_changes import PROTOCOL, RemoteChanges
from fraisier.remote.remote_endpoint import RemoteEndpoint
from fraisier.remote.remote_place import RemotePlace
from fraisier.remote.remote_reader import RemoteReader
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.databases import SqliteDatabase
from tests.graphql.afar import Both, both_over, ended, read_to
from tests.graphql.http_proxy import Proxy, proxy_of
from tests.graphql.serving import Host
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A host with a worker."""
    folder = tmp_path_factory.mktemp("following")
    host = Host.create(folder / "host", SqliteDatabase(folder / "fraisier.db"))
    with both_over(host, "--worker") as both:
        yield both


@pytest.fixture
def proxy(served: Both) -> Iterator[Proxy]:
    """What the laptop reaches the host through."""
    with proxy_of(served.options[1]) as proxy:
        yield proxy


@pytest.fixture
def both(served: Both, proxy: Proxy) -> Both:
    """The host, and the laptop behind the proxy."""
    return replace(served, options=["--url", proxy.url])


def gate(both: Both, number: int) -> Path:
    return both.host.folder / f"gate-{number}"


def deploying(both: Both) -> str:
    """Request a deployment whose build prints a line, waits at a gate, prints another and waits at another;
    return its id.
    """
    for number in (1, 2):
        gate(both, number).unlink(missing_ok=True)
    wait = "while [ ! -e {} ]; do sleep 0.02; done\n"
    lines = [f"echo line {number}\n{wait.format(gate(both, number))}" for number in (1, 2)]
    files = {"page.txt": "one", "build.sh": "#!/bin/sh\n" + "".join(lines) + "echo line 3\n"}
    both.host.forge.push_files(files | {"number": str(len(both.recorded()))})
    return both.on_host("deploy", "my_api", "production", "--detach").stdout.strip()


def followed(both: Both, deployment: str, command: subprocess.Popen[str], read: str) -> None:
    """Open the gates, and check that a command prints every line once."""
    for number in (1, 2):
        gate(both, number).touch()
    done = ended(command)
    assert done.code == 0, done.stderr
    assert read + done.stdout == both.on_host("logs", deployment).stdout
    assert done.stderr == f"deployment {deployment[-8:]} of my_api production: success\n"


def test_output_comes_by_the_socket_while_nothing_else_is_asked(both: Both, proxy: Proxy) -> None:
    deployment = deploying(both)
    with both.started("logs", deployment, "--follow") as following:
        read = read_to(following, "line 1")
        proxy.refused.add("/graphql")
        gate(both, 1).touch()
        read += read_to(following, "line 2")
        proxy.refused.clear()
        followed(both, deployment, following, read)
    assert proxy.asked.count("/ws") == 1


def test_a_deployment_is_followed_without_a_socket_too(both: Both, proxy: Proxy) -> None:
    proxy.refused.add("/ws")
    deployment = deploying(both)
    with both.started("logs", deployment, "--follow") as following:
        followed(both, deployment, following, read_to(following, "line 1"))
    assert "/ws" in proxy.asked


def test_nothing_is_lost_or_repeated_when_the_socket_is_cut(both: Both, proxy: Proxy) -> None:
    deployment = deploying(both)
    with both.started("logs", deployment, "--follow") as following:
        read = read_to(following, "line 1")
        proxy.cut_sockets()
        gate(both, 1).touch()
        read += read_to(following, "line 2")
        followed(both, deployment, following, read)


def test_a_server_that_is_away_for_a_moment_is_waited_for(both: Both, proxy: Proxy) -> None:
    deployment = deploying(both)
    with both.started("logs", deployment, "--follow") as following:
        read = read_to(following, "line 1")
        proxy.refused |= {"/ws", "/graphql"}
        proxy.cut_sockets()
        before = len(proxy.asked)
        wait_until(lambda: len(proxy.asked) > before)
        proxy.refused.clear()
        followed(both, deployment, following, read)


def test_events_are_followed_as_json(both: Both, proxy: Proxy) -> None:
    deployment = deploying(both)
    with both.started("logs", deployment, "--follow", "--json") as following:
        read = read_to(following, "line 1")
        gate(both, 1).touch()
        read += read_to(following, "line 2")
        gate(both, 2).touch()
        done = ended(following)
    there = (read + done.stdout).splitlines()
    assert sorted(there) == sorted(both.on_host("logs", deployment, "--json").stdout.splitlines())
    assert proxy.asked.count("/ws") == 1


def test_the_status_of_everything_takes_few_requests(both: Both, proxy: Proxy) -> None:
    for place in (("my_api", "production"), ("my_api", "staging"), ("loader", "production")):
        both.host.forge.push_files({"page.txt": "one", "build.sh": "#!/bin/sh\n"})
        assert both.on_host("deploy", *place, "--branch", "main").code == 0
    there, here = both.both("status", "--json")
    assert there == here
    assert len(json.loads(there.stdout)) == 3
    assert proxy.asked.count("/graphql") <= 5  # however many environments there are; one of them for holds


@pytest.mark.parametrize("said", ["no JSON", "[]", "null"])
def test_a_socket_that_speaks_another_language_is_closed(said: str) -> None:
    closed = Event()

    def speak(client: ServerConnection) -> None:
        client.recv(10)
        client.send(said)
        with pytest.raises(ConnectionClosed):
            client.recv(10)
        closed.set()

    with ThreadPoolExecutor(1) as pool, serve(speak, "127.0.0.1", 0, subprotocols=[PROTOCOL]) as server:
        pool.submit(server.serve_forever)
        place = RemotePlace.of(f"http://127.0.0.1:{server.socket.getsockname()[1]}", None)
        changes = RemoteChanges(place, RemoteReader(RemoteEndpoint(place)), "0" * 32)
        changes.wait()
        assert closed.wait(10)

"""Services without systemd: success means that what `restart:` started is what runs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fraisier.exit_codes import ExitCode
from fraisier_core.system.processes import kill_marked
from fraisier_core.testing import Forge

CONFIG = """
fraises:
  my_api:
    type: api
    repository: {url}
    environments:
      production:
        branch: main
        app_path: {folder}/app
        restart: [sh, restart.sh]
        health_check: {check}
        stable_for: {stable_for}
        env: {variables}
"""

# A server that answers with its version; all of them write down their ids, so that they can be ended.
SERVER = """
import http.server, os, signal, socket, sys, time

def note():
    with open(os.environ["PLACE"] + "/pids", "a") as pids:
        pids.write(f"{os.getpid()}\\n")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open(VERSION).read().encode())

    def log_message(self, *_):
        pass

VERSION = os.path.abspath("version")

def listen():
    return http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)

note()
"""
PLAIN = SERVER + "listen().serve_forever()\n"
FORKING = (  # the second process listens long after the command that started the first one is over
    SERVER
    + """
time.sleep(0.3)
if os.fork():
    sys.exit()
os.setsid()
os.chdir("/")
if os.fork():
    sys.exit()
note()
listen().serve_forever()
"""
)
STUBBORN = (
    SERVER
    + """
while True:
    try:
        listen().serve_forever()
    except OSError:
        time.sleep(0.1)
"""
)
QUIET = (
    SERVER
    + """
try:
    listen().serve_forever()
except OSError:
    print("the port is taken, so there is nothing to do")
"""
)
MASTER = (  # listens for ever, and has a worker answer: a new one after SIGHUP
    SERVER
    + """
server, workers = listen(), []

def work(*_):
    global VERSION
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    worker = os.fork()
    if not worker:
        os.chdir(os.environ["PLACE"] + "/app")
        VERSION = os.path.abspath("version")
        note()
        server.serve_forever()
    workers[:] = [worker]

signal.signal(signal.SIGHUP, work)
work()
while True:
    signal.pause()
"""
)
BRIEF = (  # answers at first
    SERVER
    + """
import threading
threading.Timer(0.4, os._exit, [3]).start()
listen().serve_forever()
"""
)
LOOP = "(while sleep 0.1; do $PYTHON server.py; done) > /dev/null 2>&1 & echo $! >> $PLACE/pids\n"
START = "$PYTHON server.py > /dev/null 2>&1 &\n"
END = "test ! -e $PLACE/pids || kill -9 $(cat $PLACE/pids) 2> /dev/null\nrm -f $PLACE/pids\n"


@dataclass(frozen=True, slots=True)
class Host:
    """A host without systemd, with one fraise that listens on a port.

    Args:
        folder: where everything is.
        forge: where its commits come from.
        port: where it listens.
    """

    folder: Path
    forge: Forge
    port: int

    def configure(self, *, checked: bool = True, stable_for: float = 0.8) -> None:
        check = f'{{url: "http://127.0.0.1:{self.port}/", retries: 40, interval: 0.1}}' if checked else "null"
        text = CONFIG.format(
            url=self.forge.url,
            folder=self.folder,
            check=check,
            stable_for=stable_for,
            variables=json.dumps(self.variables()),
        )
        (self.folder / "fraises.yaml").write_text(text)

    def variables(self) -> dict[str, str]:
        return {"PORT": str(self.port), "PLACE": str(self.folder), "PYTHON": sys.executable}

    def succeed(self, version: int, restart: str, server: str = PLAIN) -> None:
        """Deploy a version, which then answers and is still there after the deployment."""
        status, output = self.deploy(version, restart, server)
        assert status == ExitCode.SUCCESS, output
        assert self.answer() == str(version)

    def deploy(self, version: int, restart: str, server: str = PLAIN) -> tuple[int, str]:
        """Push a version and deploy it; return the exit status and what the command printed."""
        self.forge.push_files({"version": str(version), "restart.sh": restart, "server.py": server})
        command = [
            sys.executable,
            "-m",
            "fraisier",
            "-c",
            str(self.folder / "fraises.yaml"),
            "deploy",
            "my_api",
        ]
        done = subprocess.run([*command, "production"], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def answer(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
            text: bytes = answer.read()
        return text.decode()

    def pids(self) -> list[int]:
        path = self.folder / "pids"
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []


@contextmanager
def host(folder: Path, **configuration: Any) -> Iterator[Host]:
    """Set a host up, and end all servers at last."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Host(folder, Forge.create(folder / "forge"), listener.getsockname()[1])
    found.configure(**configuration)
    try:
        yield found
    finally:
        assert not kill_marked("PLACE", str(folder))


@pytest.fixture
def new_host(tmp_path: Path) -> Iterator[Host]:
    """A host without any deployment yet."""
    with host(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host whose version 1 serves, which a failed deployment does not change."""
    with host(tmp_path_factory.mktemp("served")) as found:
        found.succeed(1, START)
        yield found


FORGETFUL = {  # they leave the old process alone, which goes on answering
    "what they start fails": (START, PLAIN),
    "what they start in a session of its own fails": (f"setsid {START}", PLAIN),
    "what they start fails after it forked itself": (START, FORKING),
    "what they start waits for the port": (START, STUBBORN),
    "what they start gives up without an error": (START, QUIET),
    "a loop starts it again and again": (LOOP, PLAIN),
    "they start nothing": ("echo already running\n", PLAIN),
}


@pytest.mark.parametrize("way", FORGETFUL)
def test_an_old_process_that_answers_is_no_success(served: Host, way: str) -> None:
    status, output = served.deploy(2, *FORGETFUL[way])
    assert status == ExitCode.ROLLED_BACK, output
    assert "end the old process, and wait until it is gone" in output
    assert served.answer() == "1"


def test_an_old_process_that_runs_from_nowhere_is_told_by_the_failure_of_the_new_one(new_host: Host) -> None:
    new_host.configure(stable_for=4)  # in which it starts and fails on a busy machine, too
    new_host.succeed(1, START, FORKING)
    status, output = new_host.deploy(2, START, FORKING)
    assert status == ExitCode.FAILED, output
    assert f"exited with status 1; port {new_host.port} is held by {sys.executable} server.py" in output


def test_a_service_that_answers_and_then_dies_is_rolled_back(new_host: Host) -> None:
    new_host.succeed(1, START)
    status, output = new_host.deploy(2, END + START, BRIEF)
    assert status == ExitCode.ROLLED_BACK, output
    later = r"was healthy, then 0\.\d s later: .*server.py \(process \d+\) exited with status 3"
    assert re.search(later, output), output
    assert new_host.answer() == "1"


def test_without_a_health_check_a_service_that_dies_is_no_success_either(new_host: Host) -> None:
    new_host.configure(checked=False)
    status, output = new_host.deploy(1, START, BRIEF)
    assert status == ExitCode.FAILED, output
    assert "exited with status 3" in output


def test_a_new_process_replaces_the_old_one(new_host: Host) -> None:
    new_host.succeed(1, START)
    new_host.succeed(2, END + START)


def test_a_service_that_forks_itself_after_the_command_ended_goes_on_running(new_host: Host) -> None:
    new_host.succeed(1, START, FORKING)
    new_host.succeed(2, END + START, FORKING)


def test_a_server_that_reloads_keeps_its_process_and_starts_new_ones(new_host: Host) -> None:
    new_host.succeed(1, START, MASTER)
    new_host.succeed(2, "kill -HUP $(head -n 1 $PLACE/pids)\n", MASTER)


def test_what_helps_at_the_start_may_end_as_it_likes(new_host: Host) -> None:
    new_host.configure(checked=False)
    new_host.succeed(1, "(sleep 0.2; exit 4) > /dev/null 2>&1 &\n" + START)


def test_a_supervisor_that_others_started_may_restart_the_service(new_host: Host) -> None:
    """As a container engine does: the command leaves nothing running."""
    loop = 'while [ ! -e stop ]; do [ ! -e app ] || (cd -P app && "$PYTHON" server.py); sleep 0.05; done'
    variables = os.environ | new_host.variables()
    with subprocess.Popen(["sh", "-c", loop], cwd=new_host.folder, env=variables) as supervisor:
        try:
            for version in (1, 2):
                new_host.succeed(version, END)
        finally:
            (new_host.folder / "stop").touch()
            for pid in new_host.pids():
                os.kill(pid, signal.SIGKILL)
            supervisor.wait()

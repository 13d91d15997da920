"""A push deployed by the `fraisier` command, to a service that systemd really runs."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fraisier.exit_codes import ExitCode
from fraisier_core import unit_state
from fraisier_core.testing import Forge

UNIT = "my-api.service"
SERVICE = """
Type=exec
User=daemon
WorkingDirectory={app_path}
ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 {port}
"""
CONFIG = """
fraises:
  my_api:
    type: api
    repository: {url}
    environments:
      production:
        branch: main
        app_path: {app_path}
        systemd_service: my-api
        health_check: {{url: "http://127.0.0.1:{port}/health", interval: 0.1}}
        stable_for: 0
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A machine with one fraise: files over HTTP, healthy while there is a file `health`.

    Args:
        forge: where its commits come from.
        app_path: the link to what it serves.
        config: its configuration.
        port: where it listens.
    """

    forge: Forge
    app_path: Path
    config: Path
    port: int

    def fraisier(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fraisier", "-c", str(self.config), *arguments]
        env, cwd = os.environ | variables, self.config.parent
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)

    def version(self) -> str:
        """Return the version that the running service answers with."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/version", timeout=10) as answer:
            text: bytes = answer.read()
        return text.decode()


@pytest.fixture
def server(place: Path, install_unit: Callable[[str, str], None]) -> Server:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    forge, app_path, config = Forge.create(place / "forge"), place / "app", place / "fraises.yaml"
    install_unit(UNIT, SERVICE.format(app_path=app_path, port=port))
    config.write_text(CONFIG.format(url=forge.url, app_path=app_path, port=port))
    return Server(forge, app_path, config, port)


def test_an_unhealthy_push_is_rolled_back_and_the_old_release_serves_again(server: Server) -> None:
    server.forge.push_files({"version": "1", "health": "well", "build.sh": "#!/bin/sh\necho built > built"})
    first = server.fraisier("deploy", "my_api", "production")
    assert first.returncode == ExitCode.SUCCESS, first.stdout + first.stderr
    assert (server.version(), (server.app_path / "built").read_text()) == ("1", "built\n")
    release, invocation = server.app_path.resolve(), unit_state(UNIT).invocation_id

    server.forge.git("rm", "--quiet", "health")
    server.forge.push_files({"version": "2"})
    second = server.fraisier("deploy", "my_api", "production")
    assert second.returncode == ExitCode.ROLLED_BACK, second.stdout + second.stderr
    assert "404" in second.stdout + second.stderr
    assert '"GET /health HTTP/1.1" 404' in second.stdout, "what the service said while it was not healthy"

    assert (server.version(), server.app_path.resolve()) == ("1", release)
    assert Path(f"/proc/{unit_state(UNIT).main_pid}/cwd").readlink() == release
    assert unit_state(UNIT).invocation_id != invocation


def test_a_refused_restart_fails_and_leaves_everything_as_it_was(
    server: Server, install_unit: Callable[[str, str], None]
) -> None:
    server.forge.push_files({"version": "1", "health": "well"})
    first = server.fraisier("deploy", "my_api", "production")
    assert first.returncode == ExitCode.SUCCESS, first.stdout + first.stderr
    release, before = server.app_path.resolve(), unit_state(UNIT)

    service = SERVICE.format(app_path=server.app_path, port=server.port)
    install_unit(UNIT, f"{service}\n[Unit]\nRefuseManualStart=yes")
    server.forge.push_files({"version": "2"})
    second = server.fraisier("deploy", "my_api", "production")
    assert second.returncode == ExitCode.FAILED, second.stdout + second.stderr
    assert "previous process is still running" in second.stdout + second.stderr
    assert (server.app_path.resolve(), unit_state(UNIT)) == (release, before)


CRASHING = """
import http.server, os, sys, threading, time

def crash():
    time.sleep(0.4)
    print("cannot reach", os.environ["DATABASE"], file=sys.stderr, flush=True)
    os._exit(3)

threading.Thread(target=crash).start()
handler = http.server.SimpleHTTPRequestHandler
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
"""
STABLE = CRASHING.replace("threading.Thread(target=crash).start()", "")
DATABASE = "postgresql://nobody-may-see-this"


def test_a_unit_that_is_only_probed_must_stay_the_same_too(
    server: Server, install_unit: Callable[[str, str], None]
) -> None:
    """Probed now and then, a unit that systemd restarts again and again is active each time."""
    install_unit(
        UNIT, f"WorkingDirectory={server.app_path}\nExecStart=/bin/sh run.sh\nRestart=always\nRestartSec=1ms"
    )
    text = re.sub(r"systemd_service: .*", "restart: [systemctl, restart, my-api]", server.config.read_text())
    text = re.sub(r"health_check: .*", f"health_check: {{unit: {UNIT}, interval: 0.1}}", text)
    server.config.write_text(text.replace("stable_for: 0", "stable_for: 1"))
    for run, status in (("exec sleep 1000", ExitCode.SUCCESS), ("sleep 0.3", ExitCode.ROLLED_BACK)):
        server.forge.push_files({"run.sh": run})
        done = server.fraisier("deploy", "my_api", "production")
        assert done.returncode == status, done.stdout + done.stderr
    assert re.search(r"was healthy, then 0\.\d s later: my-api.service ", done.stdout + done.stderr)


@pytest.mark.parametrize("restart", ["no", "always"])
def test_a_service_that_answers_and_then_crashes_is_rolled_back_with_its_last_words(
    server: Server, install_unit: Callable[[str, str], None], restart: str
) -> None:
    command = f"ExecStart=/usr/bin/python3 service.py {server.port}"
    service = re.sub("ExecStart=.*", command, SERVICE.format(app_path=server.app_path, port=server.port))
    install_unit(UNIT, f"{service}\nEnvironment=DATABASE={DATABASE}\nRestart={restart}\nRestartSec=50ms")
    text = server.config.read_text().replace("stable_for: 0", "stable_for: 1.5")
    server.config.write_text(f"{text}        env: {{DATABASE: '${{SERVICE_DATABASE}}'}}\n")

    for version, program, status in (("1", STABLE, ExitCode.SUCCESS), ("2", CRASHING, ExitCode.ROLLED_BACK)):
        server.forge.push_files({"version": version, "health": "well", "service.py": program})
        done = server.fraisier("deploy", "my_api", "production", SERVICE_DATABASE=DATABASE)
        assert done.returncode == status, done.stdout + done.stderr
    output = done.stdout + done.stderr
    message = next(line for line in output.splitlines() if line.startswith("my_api production"))
    assert re.search(r"was healthy, then \d\.\d s later: my-api.service (is|was) ", message)
    assert "it said last: cannot reach ***; fraisier show has the end of its journal" in message
    assert "retries" not in message
    assert DATABASE not in output
    assert server.version() == "1"

"""A push deployed by the `fraisier` command, to a service that systemd really runs."""

from __future__ import annotations

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

    def fraisier(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fraisier", "-c", str(self.config), *arguments]
        return subprocess.run(command, cwd=self.config.parent, capture_output=True, text=True, check=False)

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
    server.forge.push_files({"version": "1", "health": "well", "build.sh": "echo built > built"})
    first = server.fraisier("deploy", "my_api", "production")
    assert first.returncode == ExitCode.SUCCESS, first.stdout + first.stderr
    assert (server.version(), (server.app_path / "built").read_text()) == ("1", "built\n")
    release, invocation = server.app_path.resolve(), unit_state(UNIT).invocation_id

    server.forge.git("rm", "--quiet", "health")
    server.forge.push_files({"version": "2"})
    second = server.fraisier("deploy", "my_api", "production")
    assert second.returncode == ExitCode.ROLLED_BACK, second.stdout + second.stderr
    assert "404" in second.stdout + second.stderr

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

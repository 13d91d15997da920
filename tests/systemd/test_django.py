"""A Django site with gunicorn and migrations, deployed by signed pushes: what is recorded of it is true."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import socket
import struct
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fraisier_core.testing import Forge

from tests.environments import ROOT
from tests.waiting import wait_until

SITE = ROOT / "tests/systemd/django_site"
UNIT = "shop.service"
SECRET = "the secret of this test"
SERVICE = """
Type=exec
WorkingDirectory={place}/app
Environment=SHOP_DATABASE={place}/data/shop.db
ExecStart={python} -m gunicorn --bind 127.0.0.1:{port} shop.wsgi
Restart=on-failure
RestartSec=1
"""
CONFIGURATION = """
git:
  provider: github
  github: {{webhook_secret: {secret}}}
fraises:
  shop:
    type: api
    repository: {url}
    environments:
      production:
        branch: main
        app_path: {place}/app
        migrate: [{python}, manage.py, migrate, --no-input]
        systemd_service: shop
        health_check: {{url: "http://127.0.0.1:{port}/health"}}
        env: {{SHOP_DATABASE: {place}/data/shop.db}}
branch_mapping:
  main: {{fraise: shop, environment: production}}
"""
DIES = "import os, threading\n\nthreading.Timer({seconds}, os._exit, [3]).start()\n"
WAITS = "import time\n\ntime.sleep(1000)\n"
MIGRATION = """
from django.db import migrations


def change(apps, schema_editor):
    raise RuntimeError("no such column: price")


class Migration(migrations.Migration):
    dependencies = [("notes", "0001_initial")]
    operations = [migrations.RunPython(change)]
"""
PATIENCE_SECONDS = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Server:
    """A machine that receives pushes and serves the site.

    Args:
        place: a directory that every user can get to.
        forge: where the site is pushed to.
        port: where the site listens.
    """

    def __init__(self, place: Path, forge: Forge, port: int) -> None:
        self.place, self.forge, self.port = place, forge, port
        self.version = 0
        self.files = {
            str(path.relative_to(SITE)): path.read_text()
            for path in SITE.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    def fraisier(self, *arguments: str) -> str:
        """Run a command, and return what it prints."""
        command = [sys.executable, "-m", "fraisier", *arguments]
        done = subprocess.run(command, cwd=self.place, capture_output=True, text=True, check=True)
        return done.stdout

    def on_terminal(self, columns: int, *arguments: str) -> list[str]:
        """Run a command on a terminal of so many columns, and return the lines that it shows."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        command = [sys.executable, "-m", "fraisier", *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        with subprocess.Popen(command, cwd=self.place, stdout=follower, env=environment):
            os.close(follower)
            text = b"".join(iter(lambda: _read(leader), b""))
        os.close(leader)
        return re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).splitlines()

    def push(self, files: Mapping[str, str]) -> dict[str, Any]:
        """Push another version, and return its deployment when it has ended."""
        self.version += 1
        self.forge.git("rm", "-r", "--quiet", "--ignore-unmatch", ".")
        commit = self.forge.push_files(self.files | {"shop/version": str(self.version)} | dict(files))
        found: list[dict[str, Any]] = []

        def has_ended() -> bool:
            history = json.loads(self.fraisier("history", "shop", "production", "--limit", "1", "--json"))
            found[:] = [each for each in history if each["commit_sha"] == commit and each["completed_at"]]
            return bool(found)

        wait_until(has_ended, lambda: self.fraisier("history"), seconds=PATIENCE_SECONDS)
        print(f"=== version {self.version}: {self.fraisier('show', found[0]['id'])}")
        return found[0]

    def page(self, path: str = "/") -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            text: bytes = answer.read()
        return text.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the terminal is at its end
        return b""


@pytest.fixture
def server(place: Path, install_unit: Callable[[str, str], None]) -> Iterator[Server]:
    port, listens = free_port(), free_port()
    forge = Forge.create(place / "forge")
    (place / "data").mkdir()
    names = {"place": place, "python": sys.executable, "port": port, "secret": SECRET, "url": forge.url}
    install_unit(UNIT, SERVICE.format(**names))
    (place / "fraises.yaml").write_text(CONFIGURATION.format(**names))
    (place / "secret").write_text(SECRET)
    shutil.copy(ROOT / "examples/post_receive.py", forge.bare / "hooks/post-receive")
    for name, value in (("url", f"http://127.0.0.1:{listens}/webhook"), ("secretFile", f"{place}/secret")):
        subprocess.run(["git", "-C", forge.bare, "config", f"fraisier.{name}", value], check=True)
    with (place / "log").open("w") as log:
        command = [str(Path(sys.executable).with_name("fraisier-webhook")), "--port", str(listens)]
        process = subprocess.Popen(command, cwd=place, stdout=log, stderr=log)
    ready = f"http://127.0.0.1:{listens}/readyz"
    try:
        curl = [
            "curl",
            "--silent",
            "--fail",
            "--retry",
            "60",
            "--retry-all-errors",
            "--retry-delay",
            "1",
            ready,
        ]
        subprocess.run(curl, check=True, capture_output=True)
        yield Server(place, forge, port)
    finally:
        process.terminate()
        process.wait(30)
        print((place / "log").read_text())


def shows(server: Server, columns: int, *arguments: str) -> str:
    lines = server.on_terminal(columns, *arguments)
    print("\n".join([f"--- {' '.join(arguments)} at {columns}", *lines]))
    ours = lines[: lines.index("")] if "" in lines else lines  # below it is what commands printed
    assert max(len(line) for line in ours if "`" not in line) <= columns, (
        "a command is one line, to be copied"
    )
    return " ".join(" ".join(lines).split())


def test_only_what_stays_well_is_a_success_and_what_rollbacks_return_to(server: Server) -> None:
    assert server.push({})["status"] == "success"
    assert server.push({})["status"] == "success"
    broken = {
        "a release that dies after two seconds": ({"gunicorn.conf.py": DIES.format(seconds=2)}, "status: 3"),
        "one that dies after four": ({"gunicorn.conf.py": DIES.format(seconds=4)}, "status: 3"),
        "one that cannot be imported": ({"shop/wsgi.py": "import nosuchmodule\n"}, "Worker failed to boot"),
        "one that never answers": ({"shop/wsgi.py": WAITS}, "no answer from"),
        "one whose migration fails": (
            {"notes/migrations/0002_price.py": MIGRATION},
            "--no-input exited with",
        ),
    }
    for what, (files, reason) in broken.items():
        done = server.push(files)
        print(f"=== {what}: {done['status']}: {done['error_message']}")
        assert done["status"] in {"rolled_back", "failed"}, what
        assert (server.page(), server.page("/health")) == ("2", "well, 0 notes"), what
        for columns in (80, 60):
            shows(server, columns, "status")
            said = shows(server, columns, "status", "shop", "production")
            assert reason in said
            assert f"`fraisier deploy shop production --commit {done['commit_sha']}`" in said
            assert reason in shows(server, columns, "show", done["id"])
    assert server.push({})["status"] == "success"
    server.fraisier("rollback", "shop", "production")
    assert server.page() == "2"

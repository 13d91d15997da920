"""Webhook secrets, which only the web app resolves."""

from __future__ import annotations

import os

from tests.packages import PROVIDER
from tests.waiting import wait_until

from .installation import HEALTHY, Installation

IMPORTED = "IMPORTED"
TATTLER = (
    PROVIDER
    + f"""
import os, sys
with open(os.environ[{IMPORTED!r}], "a") as file:
    file.write(" ".join(sys.argv))
"""
)


def test_no_command_worker_or_deployment_process_resolves_webhook_secrets(installation: Installation) -> None:
    """A provider is imported only if its section is read, and its secrets with it."""
    installation.packages.provider("tattler", TATTLER)
    installation.config.write_text(installation.config.read_text().replace("github", "tattler"))
    imported = installation.folder / "imported"
    installation.environ[IMPORTED] = str(imported)
    installation.deploy()
    commands = (("list",), ("status",), ("history",), ("deploy", "my_api", "production", "--detach"))
    assert all(installation.run(*command).returncode == 0 for command in commands)
    installation.forge.push_files(HEALTHY)
    with installation.started("worker") as worker:
        wait_until(lambda: installation.last().status == "success")
        worker.process.terminate()
        assert worker.end()[0] == 0
    assert not imported.exists(), imported.read_text()
    assert installation.run("config", "check", FRAISIER_WEBHOOK_SECRET=os.urandom(8).hex()).returncode == 0
    assert imported.exists()

"""A timer of systemd's makes a backup by itself, which the commands of backups find."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fraisier.exit_codes import ExitCode
from fraisier_core.units.installed_units import UNITS
from fraisier_core.units.polkit import RULE_NAMES, RULES

from tests.waiting import wait_until

FIRES_WITHIN = 150.0  # a minute until the next one, and what a loaded machine takes
CONFIG = """
state_dir: {folder}/state
fraises:
  shop_files:
    type: backup
    environments:
      production:
        source: {{folders: {folder}/files}}
        path: {folder}/copies
        remotes: {{offsite: {{rclone: "disk:{folder}/offsite", config: {folder}/rclone.conf}}}}
        keep: {{last: 3}}
        schedule: "* * * * *"
        limits: {{memory: 1G}}
      vault:
        source: {{folders: {folder}/files}}
        restic: {{repository: {folder}/vault, password: "of the vault"}}
        keep: {{last: 3}}
        schedule: "* * * * *"
"""


@dataclass(frozen=True, slots=True)
class BackupHost:
    """A machine with a fraise that backs up a folder each minute, with and without restic."""

    folder: Path

    def fraisier(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fraisier", "-c", str(self.folder / "fraises.yaml"), *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def ended(self, environment: str) -> list[dict[str, Any]]:
        """Return the backups that have ended."""
        told = json.loads(self.fraisier("history", "shop_files", environment, "--json").stdout or "[]")
        return [each for each in told if each["status"] not in {"pending", "running"}]


@pytest.fixture
def host(place: Path) -> Iterator[BackupHost]:
    (place / "state").mkdir()
    (place / "files").mkdir()
    (place / "files/letter.txt").write_text("worth keeping")
    (place / "rclone.conf").write_text("[disk]\ntype = local\n")
    (place / "fraises.yaml").write_text(CONFIG.format(folder=place))
    yield BackupHost(place)
    installed = [*UNITS.glob("fraisier-*shop_files*"), *RULES.glob(RULE_NAMES)]
    if timers := [path.name for path in installed if path.suffix == ".timer"]:
        subprocess.run(["systemctl", "disable", "--quiet", "--now", *timers], check=True)
    for path in installed:
        path.unlink()
    subprocess.run(["systemctl", "daemon-reload"], check=True)


@pytest.mark.usefixtures("unhidden")
def test_a_timer_makes_a_backup_that_is_listed_and_restored(host: BackupHost) -> None:
    installed = host.fraisier("config", "install")
    assert installed.returncode == ExitCode.SUCCESS, installed.stderr
    journal = ["journalctl", "--no-pager", "--output=cat", "--lines=60", "--unit=fraisier-*"]

    def told() -> str:
        return subprocess.run(journal, check=False, capture_output=True, text=True).stdout

    stored = {}
    for environment in ("vault", "production"):
        done = wait_until(partial(host.ended, environment), told, FIRES_WITHIN)[-1]
        assert (done["kind"], done["trigger"], done["status"]) == ("backup", "schedule", "success"), told()
        stored[environment] = done["stored_name"]
    listed = json.loads(host.fraisier("backups", "list", "--json").stdout)
    there = {(each["place"], each["name"]) for each in listed["copies"]}
    assert {("restic", stored["vault"]), ("offsite", stored["production"])} <= there
    restore = ("backups", "restore", "shop_files", "production", stored["production"], "--from", "offsite")
    restored = host.fraisier(*restore, "--to", str(host.folder / "restored"))
    assert restored.returncode == ExitCode.SUCCESS, restored.stderr
    (found,) = (host.folder / "restored").rglob("letter.txt")
    assert found.read_text() == "worth keeping"

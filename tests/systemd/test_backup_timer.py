"""Timers of systemd's make backups by themselves, in units that let them reach what they need."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fraisier.exit_codes import ExitCode
from fraisier_core.store.records import Deployment
from fraisier_core.units.installed_units import UNITS
from fraisier_core.units.polkit import RULE_NAMES, RULES

from tests.postgres import Servers
from tests.postgres_server import programs
from tests.ssh_server import SshServer, ssh_server
from tests.stores import open_store
from tests.waiting import wait_until

PATIENCE = 150.0  # what a loaded machine takes
VERSION = 16  # Debian's programs are older
OFTEN, NEVER = {"on_calendar": "*:*:0/5"}, "0 0 29 2 *"
ENVIRONMENTS = "database", "files"


@dataclass(frozen=True, slots=True)
class BackupHost:
    """A machine with a fraise that backs up a database and a folder."""

    folder: Path

    def fraisier(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fraisier", "-c", str(self.folder / "fraises.yaml"), *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def requested(self, environment: str, kind: str) -> list[Deployment]:
        with closing(open_store(self.folder / "state/fraisier.db")) as store:
            return [each for each in store.deployments("shop", environment) if each.kind == kind]

    def first(self, environment: str, kind: str) -> Deployment:
        """Return what a timer requested first, once it has succeeded."""

        def ended() -> list[Deployment]:
            found = self.requested(environment, kind)
            return [each for each in found if each.status not in {"pending", "running", "skipped"}]

        done = wait_until(ended, told, PATIENCE)[-1]
        assert (done.trigger, done.status) == ("schedule", "success"), told()
        return done


def told() -> str:
    journal = ["journalctl", "--no-pager", "--output=cat", "--lines=60", "--unit=fraisier-*"]
    return subprocess.run(journal, check=False, capture_output=True, text=True).stdout


def sections(folder: Path, server: SshServer, url: str) -> dict[str, Any]:
    """Return the environments; the modes of the folder are what a restore test has to restore."""
    nas = {
        "rsync": f"{server.login}:{folder}/nas",
        "port": server.port,
        "identity": str(server.identity("key")),
        "known_hosts": str(server.known_hosts),
    }
    offsite = {"rclone": f"disk:{folder}/offsite", "config": str(folder / "rclone.conf")}
    jobs = {"schedule": OFTEN, "overlap": "skip", "restore_test": {"schedule": NEVER}}
    database = {
        "source": {"postgresql": url, "bin": str(programs(VERSION))},
        "path": str(folder / "copies"),
        "remotes": {"offsite": offsite, "nas": nas},
        "limits": {"memory": "1G"},
    }
    files = {"source": {"folders": str(folder / "files")}, "path": str(folder / "copies-of-files")}
    return {"database": database | jobs, "files": files | jobs}


@pytest.fixture
def host(tmp_path: Path, unhidden: Path, postgres_servers: Servers) -> Iterator[BackupHost]:
    """A host on which nothing says what units may write to."""
    with (
        tempfile.TemporaryDirectory(prefix="fraisier-", dir="/srv") as name,
        ssh_server(tmp_path) as server,
        postgres_servers(VERSION).database() as url,
    ):
        folder = Path(name)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE orders (id integer PRIMARY KEY, note text)")
            connection.execute("INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 500) n")
        (folder / "state").mkdir()
        (folder / "files/of-a-group").mkdir(parents=True)
        (folder / "files/of-a-group").chmod(0o2775)
        (folder / "rclone.conf").write_text("[disk]\ntype = local\n")
        shop = {"type": "backup", "environments": sections(folder, server, url)}
        configuration = {"state_dir": str(folder / "state"), "fraises": {"shop": shop}}
        (folder / "fraises.yaml").write_text(json.dumps(configuration))
        yield BackupHost(folder)
        remove_units()


def remove_units() -> None:
    installed = [*UNITS.glob("fraisier-*shop*"), *RULES.glob(RULE_NAMES)]
    if timers := [path.name for path in installed if path.suffix == ".timer"]:
        subprocess.run(["systemctl", "disable", "--quiet", "--now", *timers], check=True)
    for path in installed:
        path.unlink()
    subprocess.run(["systemctl", "daemon-reload"], check=True)


def test_timers_make_backups_and_restore_tests_and_one_command_restores_into_an_empty_server(
    host: BackupHost, systemctl: Callable[..., str], postgres_servers: Servers
) -> None:
    installed = host.fraisier("config", "install")
    assert installed.returncode == ExitCode.SUCCESS, installed.stderr
    for environment in ENVIRONMENTS:
        wait_until(partial(host.requested, environment, "backup"), told, PATIENCE)
        systemctl("stop", f"fraisier-run-shop.{environment}.timer")
    stored = {each: host.first(each, "backup").stored_name for each in ENVIRONMENTS}
    listed = json.loads(host.fraisier("backups", "list", "--json").stdout)
    assert {(each["place"], each["name"]) for each in listed["copies"]} >= {
        *((place, stored["database"]) for place in ("local", "offsite", "nas")),
        ("local", stored["files"]),
    }
    with postgres_servers.own(VERSION) as empty:
        restore = ("backups", "restore", "shop", "database", str(stored["database"]), "--from", "nas")
        restored = host.fraisier(*restore, "--to", empty.url("shop"))
        assert restored.returncode == ExitCode.SUCCESS, restored.stderr
        with psycopg.connect(empty.url("shop")) as connection:
            rows = connection.execute("SELECT id, note FROM orders ORDER BY id").fetchall()
    assert rows == [(n, f"order {n}") for n in range(1, 501)]
    for environment in ENVIRONMENTS:
        systemctl("start", f"fraisier-run-shop.{environment}.restore_test.service")
    for environment in ENVIRONMENTS:
        host.first(environment, "restore_test")

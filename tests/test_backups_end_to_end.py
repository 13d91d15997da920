"""One `fraises.yaml` backs PostgreSQL up to three places, restores it elsewhere, and tests its backups."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fraisier.exit_codes import ExitCode

from tests.command import run_fraisier
from tests.packages import PackageFolder
from tests.postgres import Servers
from tests.postgres_server import programs
from tests.ssh_server import ssh_server

VERSION = 16
FILL = """
CREATE TABLE orders (id integer PRIMARY KEY, total numeric, note text);
INSERT INTO orders SELECT n, n * 1.1, repeat(md5(n::text), 20) FROM generate_series(1, 5000) n;
CREATE INDEX ON orders (total)
"""
CHECKSUM = "SELECT md5(string_agg(orders::text, ',' ORDER BY id)) FROM orders"
# The fraise type `backup`, whose clock is a file.
CLOCKED = """
from datetime import datetime
from pathlib import Path
from fraisier_core import hookimpl
from fraisier_deployers.backup.backing_up import make_backup
from fraisier_deployers.backup.fraise_type import backups, settings, test_restore

@hookimpl
def back_up(run):
    now = datetime.fromisoformat(Path(run.settings.env["CLOCK"]).read_text())
    make_backup(run, run.settings.path, lambda: now)
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """A fraise that backs up a database; its clock stands still.

    Args:
        folder: of it all.
        packages: where its type is installed.
        url: of the database.
    """

    folder: Path
    packages: Path
    url: str

    def fraisier(self, *arguments: str, url: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        given = {"PYTHONPATH": str(self.packages), "DATABASE_URL": url or self.url, **environ}
        return run_fraisier(*arguments, folder=self.folder, environ=os.environ | given)

    def back_up(self, time: str, url: str = "") -> str:
        """Make a backup at some time, and return its name."""
        (self.folder / "clock").write_text(time)
        done = self.fraisier("backup", "shop", "production", "--json", url=url)
        assert done.returncode == ExitCode.SUCCESS, done.stdout + done.stderr
        return str(json.loads(done.stdout)["stored_name"])

    def test_restore(self) -> str:
        """Have the newest backup restored as a test, and return why that failed, if it did."""
        done = self.fraisier("backups", "test", "shop", "production", "--json")
        told = json.loads(done.stdout)
        assert (done.returncode == ExitCode.SUCCESS) is (told["error_message"] is None)
        return told["error_message"] or ""

    def flip(self, name: str) -> None:
        """Flip one bit in the middle of the local copy; once more, and it is as before."""
        path = self.folder / "local" / f"{name}.dump"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def checksum(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        return str(connection.execute(CHECKSUM).fetchall()[0][0])


@pytest.fixture
def shop(tmp_path: Path, postgres_servers: Servers) -> Iterator[Shop]:
    for program in ("rclone", "rsync"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    packages = PackageFolder(tmp_path / "packages")
    packages.folder.mkdir()
    packages.deployer("clocked_backup", CLOCKED)
    (tmp_path / "ssh").mkdir()
    with ssh_server(tmp_path / "ssh") as server, postgres_servers(VERSION).database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL)
        nas = {
            "rsync": f"{server.login}:{tmp_path}/nas",
            "port": server.port,
            "identity": str(server.identity("key")),
            "known_hosts": str(server.known_hosts),
        }
        section: dict[str, Any] = {
            "source": {"postgresql": "${DATABASE_URL}", "bin": str(programs(VERSION))},
            "path": str(tmp_path / "local"),
            "keep": {"last": 1, "monthly": 2},
            "remotes": {"offsite": {"rclone": str(tmp_path / "offsite")}, "nas": nas},
            "env": {"CLOCK": str(tmp_path / "clock")},
        }
        fraise = {"type": "clocked_backup", "environments": {"production": section}}
        (tmp_path / "fraises.yaml").write_text(json.dumps({"fraises": {"shop": fraise}}))
        yield Shop(tmp_path, packages.folder, url)


def test_what_is_backed_up_is_kept_elsewhere_restored_into_an_empty_server_and_tested(
    shop: Shop, postgres_servers: Servers
) -> None:
    times = ("2026-01-10T12:00Z", "2026-02-03T08:00Z", "2026-02-03T20:00Z")
    january, _, newest = (shop.back_up(time) for time in times)
    listed = json.loads(shop.fraisier("backups", "list", "--json").stdout)
    assert listed["problems"] == []
    kept = {newest: ["last", "monthly", "the newest"], january: ["monthly"]}
    for place in ("local", "offsite", "nas"):
        there = {copy["name"]: copy["kept"] for copy in listed["copies"] if copy["place"] == place}
        assert there == kept, place
        assert len([*(shop.folder / place).glob("*.dump")]) == len(kept)

    with postgres_servers.own(VERSION) as empty:
        restore = ("backups", "restore", "shop", "production", "--from", "nas", "--to", "${NEW_URL}")
        done = shop.fraisier(*restore, NEW_URL=empty.url("shop"))
        assert done.returncode == ExitCode.SUCCESS, done.stderr
        assert done.stdout.startswith(f"{newest} is restored into shop\n")
        assert checksum(empty.url("shop")) == checksum(shop.url)

    shop.flip(newest)
    assert f"{newest}.dump at {shop.folder}/local is damaged" in shop.test_restore()
    shop.flip(newest)
    assert shop.test_restore() == ""
    with postgres_servers(VERSION).database() as wrong:
        with psycopg.connect(wrong, autocommit=True) as connection:
            connection.execute(FILL)
        other = shop.back_up("2026-02-04T12:00Z", url=wrong)
        assert (
            f"{other} is not of this source: its manifest says that it is of database" in shop.test_restore()
        )

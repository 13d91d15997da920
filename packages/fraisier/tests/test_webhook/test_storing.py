"""A store that cannot be written while the web app runs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from .hooks import github, github_push, new_commit
from .installation import Installation, Server, rows

MEGABYTES = 4
DATABASE = "database: {{url: 'sqlite://{}/state/fraisier.db'}}\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "fraisier-test", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting takes root and CAP_SYS_ADMIN")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def server(installation: Installation, small_disk: Path) -> Iterator[Server]:
    """A web app whose store lies on the small disk."""
    installation.config.write_text(DATABASE.format(small_disk) + installation.config.read_text())
    with installation.serving() as server:
        yield server


def fill(path: Path) -> None:
    """Write a file that takes all space there is."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


def update_for_ever(store: Path) -> None:
    """Change a page of the store again and again."""
    while True:
        rows(store, "UPDATE tb_workers SET heartbeat = heartbeat + 1")


def assert_unavailable(server: Server) -> None:
    answer = server.send(github(github_push(new_commit())))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json() == {"error": "the event could not be stored"}


def test_on_a_full_disk_nothing_is_acknowledged_and_nothing_acknowledged_is_lost(
    server: Server, small_disk: Path
) -> None:
    kept = new_commit()
    assert server.send(github(github_push(kept))).status_code == 202
    store = small_disk / "state" / "fraisier.db"
    rows(store, "INSERT INTO tb_workers VALUES ('local', 1, 1, 'this boot', 1e9)")
    fill(small_disk / "filler")
    while server.send(github(github_push(new_commit()))).status_code == 202:
        pass  # what the write-ahead log still had room for
    assert_unavailable(server)
    with pytest.raises(sqlite3.OperationalError) as caught:
        update_for_ever(store)
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_FULL
    assert server.get("/healthz").status_code == 200
    assert server.get("/readyz").json()["problems"] == ["the store cannot be written"]
    assert server.send(github(github_push(new_commit()), secret="guessed")).status_code == 401
    (small_disk / "filler").unlink()
    later = new_commit()
    assert server.send(github(github_push(later))).status_code == 202
    stored = rows(store, "SELECT commit_sha FROM tb_deployments")
    assert {kept, later} <= {row["commit_sha"] for row in stored}
    assert "nothing could be stored" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


def test_on_a_read_only_disk_it_does_not_start(installation: Installation, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    installation.config.write_text(DATABASE.format(small_disk) + installation.config.read_text())
    done = installation.run()
    assert done.returncode == 6
    assert f"the store {small_disk}/state/fraisier.db: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_store_that_another_process_holds_for_long_is_said_to_be_unavailable(
    installation: Installation,
) -> None:
    with installation.serving() as server:
        store = installation.folder / ".fraisier" / "fraisier.db"
        with closing(sqlite3.connect(store, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert_unavailable(server)
            other.execute("ROLLBACK")
        assert server.send(github(github_push(new_commit()))).status_code == 202


def test_a_configuration_that_cannot_be_stored_yet_is_taken_up_once_it_can(
    installation: Installation,
) -> None:
    with installation.serving() as server:
        push = github_push(new_commit(), branch="later")
        store = installation.folder / ".fraisier" / "fraisier.db"
        with closing(sqlite3.connect(store, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            installation.config.write_text(installation.config.read_text().replace("next:", "later:"))
            assert server.send(github(push)).status_code == 503
            other.execute("ROLLBACK")
        assert server.send(github(push)).status_code == 202

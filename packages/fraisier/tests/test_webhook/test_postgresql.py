"""The web app over PostgreSQL: whatever happens to that, what it acknowledged is there, and once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.postgres_end import processes_of
from tests.postgres_proxy import Proxy
from tests.postgres_server import Server as Database
from tests.waiting import wait_until

from .hooks import Hook, github, github_push, new_commit
from .installation import CONFIG, Installation, Server

KILLS = 5
MEGABYTES = 32
HELD = "SELECT 1 FROM tb_environments FOR NO KEY UPDATE"
BLOCKED = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
BROKEN = (httpx.HTTPError, OSError)


def configured(folder: Path, url: str) -> Installation:
    return Installation.create(folder, f"database: {{url: '{url}'}}\n{CONFIG}")


@pytest.fixture
def over_postgres(tmp_path: Path, postgres_url: str) -> Installation:
    """A host whose store is a database of the shared server."""
    return configured(tmp_path / "installation", postgres_url)


@pytest.fixture
def over_own(tmp_path: Path, postgres_server: Database) -> Installation:
    """A host whose store is on a server of the test's own."""
    return configured(tmp_path / "installation", postgres_server.url())


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql.encode()).fetchall()


def push(delivery: str = "", commit: str = "") -> Hook:
    return github(github_push(commit or new_commit()), delivery=delivery)


def is_unavailable(answer: httpx.Response) -> bool:
    assert answer.status_code == 503, answer.text
    return int(answer.headers["retry-after"]) > 0


def is_accepted_in_the_end(server: Server, hook: Hook) -> bool:
    """Deliver again and again, as a forge or a user does, until it is acknowledged."""

    def accepted() -> bool:
        answer = server.send(hook)
        return answer.status_code in {200, 202} or not is_unavailable(answer)

    return wait_until(accepted, server.log.read_text)


def is_alive(server: Server) -> bool:
    """Whether the loop turns and answers what needs no store, while nothing answers what does."""
    assert server.get("/readyz").status_code == 503
    guessed = server.send(github(github_push(new_commit()), secret="guessed"))
    return (server.get("/healthz").status_code, guessed.status_code) == (200, 401)


def test_it_starts_without_its_database_and_serves_once_that_is_there(
    over_own: Installation, postgres_server: Database
) -> None:
    postgres_server.stop()
    with over_own.serving() as server:
        assert is_unavailable(server.send(push()))
        assert server.get("/healthz").status_code == 200
        assert server.get("/readyz").json()["problems"] == ["the store cannot be written"]
        postgres_server.start()
        assert is_accepted_in_the_end(server, push())
        assert "every delivery is answered with 503" in server.log.read_text()
        assert "Traceback" not in server.log.read_text()
    assert len(rows(postgres_server.url(), "SELECT 1 FROM tb_deployments")) == 1


@pytest.mark.parametrize("ended", ["stop", "kill"])
def test_while_its_database_is_down_it_says_so_and_nothing_has_to_be_restarted(
    over_own: Installation, postgres_server: Database, ended: str
) -> None:
    first, lost, later = push("first"), push("lost"), push("later")
    with over_own.serving() as server:
        assert server.send(first).status_code == 202
        getattr(postgres_server, ended)()
        assert is_unavailable(server.send(lost))
        assert is_alive(server)
        postgres_server.start()
        assert is_accepted_in_the_end(server, later)
        assert is_accepted_in_the_end(server, lost)
        assert server.send(first).json()["status"] == "duplicate"
        assert "Traceback" not in server.log.read_text()
    accepted = "SELECT delivery_id FROM tb_webhook_events WHERE verdict = 'accepted' ORDER BY sequence"
    assert rows(postgres_server.url(), accepted) == [("first",), ("later",), ("lost",)]


def test_a_stopped_database_is_down_until_it_goes_on(
    over_own: Installation, postgres_server: Database
) -> None:
    with over_own.serving() as server:
        assert server.send(push()).status_code == 202
        stopped = processes_of(postgres_server.folder)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        assert is_unavailable(server.send(push()))
        assert is_unavailable(server.send(push()))
        assert is_alive(server)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        assert is_accepted_in_the_end(server, push())
        assert "Traceback" not in server.log.read_text()


def test_a_database_behind_a_network_that_says_nothing_holds_nothing_up_but_what_needs_it(
    tmp_path: Path, postgres_server: Database
) -> None:
    with closing(Proxy(postgres_server.port)) as proxy:
        url = postgres_server.tcp_url().replace(f":{postgres_server.port}/", f":{proxy.port}/")
        installation = configured(tmp_path / "installation", url)
        with installation.serving() as server:
            assert server.send(push()).status_code == 202
            proxy.say_nothing()
            assert is_unavailable(server.send(push()))
            installation.config.write_text(installation.config.read_text().replace("next:", "later:"))
            with ThreadPoolExecutor(3) as clients:
                answers = list(clients.map(server.send, [push() for _ in range(3)]))
            assert all(map(is_unavailable, answers))
            assert server.get("/healthz").status_code == 200
            proxy.go_on()
            assert is_accepted_in_the_end(server, github(github_push(new_commit(), branch="later")))
            assert "Traceback" not in server.log.read_text()


def test_a_lock_that_another_holds_for_long_is_not_waited_for(
    over_postgres: Installation, postgres_url: str
) -> None:
    with over_postgres.serving() as server:
        with psycopg.connect(postgres_url) as other:
            other.execute(HELD)
            assert is_unavailable(server.send(push()))
            assert server.get("/healthz").status_code == 200
        assert is_accepted_in_the_end(server, push())


def test_deliveries_to_two_web_apps_at_once_are_stored_once_and_answered_alike(
    over_postgres: Installation, postgres_url: str, tmp_path: Path
) -> None:
    second = configured(tmp_path / "second", postgres_url)
    hook = push("the same")
    with over_postgres.serving() as one, second.serving() as two, ThreadPoolExecutor(10) as clients:
        answers = list(clients.map(lambda number: (one, two)[number % 2].send(hook), range(50)))
        assert sorted(answer.status_code for answer in answers) == [200] * 49 + [202]
        assert len({answer.json()["deployments"][0]["id"] for answer in answers}) == 1
        assert two.send(push("the same")).status_code == 409
    assert len(rows(postgres_url, "SELECT 1 FROM tb_deployments")) == 1


@pytest.mark.parametrize(("point", "again", "stored"), [("before_commit", 202, 0), ("after_commit", 200, 1)])
def test_a_kill_around_the_commit_is_made_good_by_the_redelivery(
    over_postgres: Installation, postgres_url: str, point: str, again: int, stored: int
) -> None:
    environ = over_postgres.environ | {"FRAISIER_FAILPOINT": f"{point}:kill"}
    hook = push("d1")
    with replace(over_postgres, environ=environ).serving() as server, pytest.raises(BROKEN):
        server.send(hook)
    assert len(rows(postgres_url, "SELECT 1 FROM tb_deployments")) == stored
    with over_postgres.serving() as server:
        assert server.send(hook).status_code == again
    assert len(rows(postgres_url, "SELECT 1 FROM tb_deployments")) == 1


def test_a_kill_while_postgresql_commits_is_made_good_by_the_redelivery(
    over_postgres: Installation, postgres_url: str
) -> None:
    hook = push("d1")
    with psycopg.connect(postgres_url) as other, ThreadPoolExecutor(1) as client:
        with over_postgres.serving() as server:
            other.execute(HELD)
            answer = client.submit(server.send, hook)
            wait_until(lambda: rows(postgres_url, BLOCKED))
            server.process.kill()
            with pytest.raises(BROKEN):
                answer.result()
        other.rollback()
    with over_postgres.serving() as server:
        assert server.send(hook).status_code in {200, 202}
    assert len(rows(postgres_url, "SELECT 1 FROM tb_deployments")) == 1


def test_kills_of_the_web_app_under_load_lose_nothing_and_repeat_nothing(
    over_postgres: Installation, postgres_url: str
) -> None:
    acknowledged: list[str] = []

    def deliver(server: Server, number: int) -> None:
        with suppress(*BROKEN):
            answer = server.send(push(f"d{number}", f"{number:040x}"))
            acknowledged.append(answer.json()["event"])

    with ThreadPoolExecutor(4) as clients:
        for kill in range(KILLS):
            with over_postgres.serving() as server:
                enough = len(acknowledged) + kill
                numbers = range(kill * 8, kill * 8 + 12)  # some again, and some lost with the process
                deliveries = [clients.submit(deliver, server, number) for number in numbers]
                wait_until(lambda enough=enough: len(acknowledged) > enough)  # type: ignore[misc]
                server.process.kill()
                for delivery in deliveries:
                    delivery.result()
    stored = {row[0] for row in rows(postgres_url, "SELECT id::text FROM tb_webhook_events")}
    assert {*acknowledged} <= stored
    twice = "GROUP BY w.delivery_id HAVING count(*) > 1"
    requested = "tb_deployments AS d JOIN tb_webhook_events AS w ON w.id = d.webhook_event_id"
    assert rows(postgres_url, f"SELECT 1 FROM {requested} {twice}") == []


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of a few megabytes that PostgreSQL may write to."""
    folder.mkdir()
    owner = folder.parent.stat()
    options = f"size={MEGABYTES}m,uid={owner.st_uid},gid={owner.st_gid}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "fraisier-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting takes root and CAP_SYS_ADMIN")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_on_a_full_disk_nothing_is_acknowledged_and_nothing_acknowledged_is_lost(
    tmp_path: Path, postgres_server: Database
) -> None:
    kept, later = push("kept"), push("later")
    with small_disk(postgres_server.folder / "small") as disk:
        (disk / "tables").mkdir()
        owner = disk.stat()
        os.chown(disk / "tables", owner.st_uid, owner.st_gid)
        postgres_server.execute(f"CREATE TABLESPACE small LOCATION '{disk}/tables'")
        postgres_server.execute("CREATE DATABASE small TABLESPACE small")
        with configured(tmp_path / "installation", postgres_server.url("small")).serving() as server:
            assert server.send(kept).status_code == 202
            with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
                while filler.write(b"x" * 4096):
                    pass
            last = wait_until(lambda: answer if (answer := server.send(push())).status_code != 202 else None)
            assert is_unavailable(last)
            assert server.get("/healthz").status_code == 200
            (disk / "filler").unlink()
            assert is_accepted_in_the_end(server, later)
            assert server.send(kept).json()["status"] == "duplicate"
            assert "Free some space" in server.log.read_text()
            assert "Traceback" not in server.log.read_text()
        postgres_server.kill()

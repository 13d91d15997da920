"""A worker and its database: away when it starts, away meanwhile, back again; and how little it asks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from fraisier_core.engine.leftovers import take_over
from fraisier_core.errors import UnknownOutcomeError
from fraisier_core.store.records import ConfiguredEnvironment
from fraisier_core.system.host import Host
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.system.timing import HEARTBEAT

from tests.postgres import Server
from tests.postgres_proxy import Moment, Proxy
from tests.stores import OpenStore
from tests.waiting import wait_until
from tests.worker.installation import REQUEST, Installation

STATEMENT = re.compile(r" LOG:  (?:statement|execute)")
AWAY = "outage:the store postgres on"
BACK = "the worker works again"


def opened(url: str) -> OpenStore:
    from tests.postgres_stores import OpenPostgresStore

    return OpenPostgresStore.open(url, Host())


@pytest.fixture
def installation(tmp_path: Path, postgres_server: Server) -> Iterator[Installation]:
    """On a server that the test may stop and kill."""
    url = postgres_server.tcp_url()
    with closing(Installation(tmp_path, url, partial(opened, url))) as found:
        yield found


def end_connections(server: Server) -> None:
    sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fraisier'"
    server.execute(sql)


def test_a_worker_waits_for_a_database_that_is_away_when_it_starts(
    installation: Installation, postgres_server: Server
) -> None:
    postgres_server.stop()
    worker = installation.launch()
    (line,) = installation.said(AWAY)
    assert "Connection refused" in line
    assert "Check that PostgreSQL runs" in line
    postgres_server.start()
    installation.said(BACK)
    deployment = installation.store.request(REQUEST)
    assert installation.ended(deployment).status == "failed"
    assert len(installation.said(AWAY)) <= 2  # it may have seen it start
    assert worker.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_for_its_database_ends_when_asked(
    installation: Installation, postgres_server: Server, number: signal.Signals
) -> None:
    postgres_server.stop()
    worker = installation.launch()
    installation.said(AWAY)
    worker.send_signal(number)
    wait_until(lambda: worker.poll() is not None)


def test_a_worker_that_waits_for_its_database_ends_with_its_supervisor(
    installation: Installation, postgres_server: Server
) -> None:
    postgres_server.stop()
    theirs, ours = os.pipe()
    worker = installation.launch(theirs)
    installation.said(AWAY)
    os.close(theirs)
    os.close(ours)
    assert worker.wait(30) == 0


@pytest.mark.parametrize("leave", [Server.stop, Server.kill], ids=["stopped", "killed"])
def test_a_worker_outlives_its_database_and_says_so_once(
    installation: Installation, postgres_server: Server, leave: Callable[[Server], None]
) -> None:
    worker = installation.start()
    leave(postgres_server)
    installation.said(AWAY)
    postgres_server.start()
    installation.said(BACK)
    deployment = installation.store.request(REQUEST)
    assert installation.ended(deployment).status == "failed"
    assert worker.poll() is None
    said = installation.said(AWAY)
    assert len(said) == len(set(said))


def test_a_worker_whose_connections_are_ended_goes_on(
    installation: Installation, postgres_server: Server
) -> None:
    worker = installation.start()
    for _ in range(3):
        end_connections(postgres_server)
        deployment = installation.store.request(REQUEST)
        assert installation.ended(deployment).status == "failed"
    assert worker.poll() is None


def test_a_worker_is_told_to_end_while_its_database_is_away(
    installation: Installation, postgres_server: Server
) -> None:
    worker = installation.start()
    postgres_server.stop()
    worker.terminate()
    assert worker.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_is_told_to_end_while_its_database_says_nothing(
    tmp_path: Path, postgres_server: Server, number: signal.Signals
) -> None:
    with closing(Proxy(postgres_server.port)) as proxy:
        url = postgres_server.tcp_url().replace(f":{postgres_server.port}/", f":{proxy.port}/")
        with closing(Installation(tmp_path, url, partial(opened, postgres_server.url()))) as installation:
            worker = installation.start(grace_seconds=0.1, stop_seconds=0.1)
            proxy.say_nothing()
            worker.send_signal(number)
            assert worker.wait(30) == 0


@pytest.mark.parametrize(("moment", "attempts"), [("before", 1), ("after", 2)])
def test_what_was_claimed_though_the_answer_was_lost_is_executed_all_the_same(
    tmp_path: Path, postgres_server: Server, moment: Moment, attempts: int
) -> None:
    with closing(Proxy(postgres_server.port)) as proxy:
        url = postgres_server.tcp_url().replace(f":{postgres_server.port}/", f":{proxy.port}/")
        with closing(Installation(tmp_path, url, partial(opened, postgres_server.url()))) as installation:
            installation.start()
            proxy.cut("FROM claim(", moment)
            deployment = installation.store.request(REQUEST)
            ended = installation.ended(deployment)
            installation.said("whether the last change was recorded is unknown")
            assert (ended.status, ended.attempt) == ("failed", attempts)
            assert installation.store.leases() == []


def test_what_was_claimed_just_before_the_database_went_away_is_executed_once_it_is_back(
    installation: Installation, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = installation.folder / "claimed"
    monkeypatch.setenv("FRAISIER_FAILPOINT", "after_claim:stop")
    monkeypatch.setenv("FRAISIER_FAILPOINT_FILE", str(claimed))
    worker = installation.start()
    deployment = installation.store.request(REQUEST)
    wait_until(claimed.exists)
    postgres_server.stop()
    worker.send_signal(signal.SIGCONT)
    installation.said(AWAY)
    postgres_server.start()
    ended = installation.ended(deployment)
    assert (ended.status, ended.attempt) == ("failed", 1)  # as everything does here
    worker.terminate()
    assert worker.wait(30) == 0


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a session."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def test_what_may_have_been_taken_over_leaves_nothing_running(
    postgres_server: Server, holder: subprocess.Popen[bytes]
) -> None:
    url = postgres_server.tcp_url()
    with closing(Proxy(postgres_server.port)) as proxy, closing(opened(url)) as store:
        store.configure([ConfiguredEnvironment("api", "api", None, None, "production", None, None)])
        store.request_leased(REQUEST, ProcessIdentity.of(holder.pid))
        (held,) = store.leases()
        with closing(opened(url.replace(f":{postgres_server.port}/", f":{proxy.port}/"))) as cut:
            proxy.cut("COMMIT", "after")
            with pytest.raises(UnknownOutcomeError):
                take_over(cut, Host(), held, ProcessIdentity.of(os.getpid()))
    assert holder.wait(5) == -signal.SIGKILL


def test_an_idle_worker_asks_less_than_once_a_second(
    installation: Installation, postgres_server: Server
) -> None:
    postgres_server.execute("ALTER SYSTEM SET log_statement = 'all'")
    assert installation.store.live_workers() == 0
    postgres_server.restart()  # the statements of every connection are logged
    installation.launch()
    log, beat = postgres_server.folder / "log", "WITH forgotten"

    def fewest() -> int:
        """Return how many statements there were from one heartbeat to the next, at least."""
        return min(map(len, map(STATEMENT.findall, log.read_text().split(beat)[1:-1])), default=0)

    wait_until(lambda: 0 < fewest() <= HEARTBEAT)

"""The worker as a process: what it starts and ends, and what it makes of what waits."""

import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from fraisier_core.errors import StoreError
from fraisier_core.store.sqlite.wake_ups import FOLDER
from fraisier_core.system.processes import ProcessIdentity, children, descendants
from fraisier_core.worker import log_lines

from tests.databases import both_databases
from tests.waiting import wait_until
from tests.worker.installation import REQUEST, Installation


@both_databases
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_when_asked_and_leaves_nothing(
    installation: Installation, number: signal.Signals
) -> None:
    worker = installation.start()
    processes = descendants(worker.pid)
    worker.send_signal(number)
    assert worker.wait(10) == 0
    assert installation.store.live_workers() == 0
    assert list(installation.folder.glob(f"**/{FOLDER}/*")) == []
    wait_until(lambda: not any(process.is_alive() for process in processes))


def test_a_worker_ends_with_its_supervisor(installation: Installation) -> None:
    theirs, ours = os.pipe()
    worker = installation.start(theirs)
    os.close(theirs)
    os.close(ours)
    assert worker.wait(10) == 0


def test_the_processes_of_a_killed_worker_end_themselves(installation: Installation) -> None:
    worker = installation.start()
    processes = descendants(worker.pid)
    worker.kill()
    wait_until(lambda: not any(process.is_alive() for process in processes))


def test_a_killed_process_is_replaced(installation: Installation) -> None:
    worker = installation.start()
    (launcher,) = {each for each in descendants(worker.pid) if descendants(each.pid)}
    first = descendants(launcher.pid)
    for process in first:
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: len(descendants(launcher.pid) - first) == 2)
    assert worker.poll() is None


def test_a_launcher_that_is_killed_is_started_again_and_named(installation: Installation) -> None:
    worker = installation.start()
    (launcher,) = {each for each in descendants(worker.pid) if descendants(each.pid)}
    os.kill(launcher.pid, signal.SIGKILL)
    installation.said("the launcher was killed by SIGKILL; it is started again in 1 s")
    for process in descendants(worker.pid):
        os.kill(process.pid, signal.SIGKILL)
    deployment = installation.store.request(REQUEST)
    installation.store.wake()
    assert installation.ended(deployment).status == "failed"
    assert worker.poll() is None


def test_no_process_below_a_worker_has_the_variables_of_the_configuration(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "token-of-production")
    path = installation.folder / "fraises.yaml"
    path.write_text(path.read_text().replace("branch: main", 'branch: main, env: {A: "${TOKEN}"}'))
    worker = installation.start()
    for process in descendants(worker.pid):
        assert b"token-of-production" not in Path(f"/proc/{process.pid}/environ").read_bytes()


@both_databases
def test_what_waits_is_claimed_on_a_wake_up(installation: Installation) -> None:
    installation.start()
    deployment = installation.store.request(REQUEST)
    installation.store.wake()
    ended = installation.ended(deployment)
    assert ended.status == "failed"
    assert "not-installed" in (ended.error_message or "")
    assert (ended.error_message or "").endswith("nothing was done")


@both_databases
def test_what_waits_for_a_fraise_that_was_removed_fails_and_says_so(installation: Installation) -> None:
    deployment = installation.store.request(REQUEST)
    installation.configure("another")
    installation.start()
    ended = installation.ended(deployment)
    assert ended.status == "failed"
    assert ended.error_message == 'no fraise is called "api" (known: another); nothing was done'


def test_a_configuration_that_breaks_leaves_the_last_good_one(installation: Installation) -> None:
    installation.start()
    (installation.folder / "fraises.yaml").write_text("fraises: [")
    deployment = installation.store.request(REQUEST)
    installation.store.wake()
    assert "not-installed" in (installation.ended(deployment).error_message or "")


@both_databases
def test_a_worker_outlives_a_store_that_cannot_be_written_for_a_while(installation: Installation) -> None:
    installation.store.execute("ALTER TABLE tb_workers RENAME TO tb_elsewhere")
    worker = installation.launch()
    installation.said("tb_workers")
    installation.store.execute("ALTER TABLE tb_elsewhere RENAME TO tb_workers")
    deployment = installation.store.request(REQUEST)
    installation.store.wake()
    assert installation.ended(deployment).status == "failed"
    assert worker.poll() is None


@both_databases
def test_what_a_dead_process_left_without_a_step_runs_again(installation: Installation) -> None:
    with subprocess.Popen(["true"]) as gone:
        process = ProcessIdentity.of(gone.pid)
    _, lease = installation.store.request_leased(REQUEST, process)
    assert lease is not None
    assert process not in children()
    installation.start()
    ended = installation.ended(lease.deployment_id)
    assert (ended.status, ended.attempt) == ("failed", 2)


@both_databases
def test_the_log_has_a_line_on_the_start_and_one_on_the_end_of_each_deployment(
    installation: Installation,
) -> None:
    installation.start()
    by = "ada\nINFO forged \x1b[31m"
    ids = [installation.store.request(REQUEST._replace(environment="production", requested_by=by))]
    installation.store.wake()
    installation.ended(ids[0])
    what = f"deployment {ids[0]} of api production"
    started, ended = installation.said(what, 2)
    assert started.endswith(f"{what} started: deploy of cccccccccccc, requested by ada INFO forged")
    assert f"{what} ended: failed: " in ended
    assert ended.endswith("nothing was done")
    backup = installation.store.deployment(ids[0])._replace(kind="backup", commit_sha=None, ref=None)
    assert f"{what} started: backup, requested by ada" in log_lines.started(backup, recover=False)


@both_databases
@pytest.mark.parametrize("migration", ["9999_later.sql", "0099_renamed.sql", "0098"])
def test_a_worker_claims_nothing_from_a_store_that_a_newer_version_has_migrated(
    installation: Installation, migration: str
) -> None:
    worker = installation.start()
    added = {"name": migration}
    installation.store.execute("INSERT INTO tb_migrations (name, checksum) VALUES (:name, 'c')", added)
    deployment = installation.store.request(REQUEST)
    installation.store.wake()
    (line,) = installation.said("outage:a newer version of Fraisier made the store")
    assert line.endswith(f"(it has {migration}); upgrade this one")
    assert installation.store.deployment(deployment).status == "pending"
    installation.store.execute("DELETE FROM tb_migrations WHERE name = :name", added)
    installation.store.wake()
    assert installation.ended(deployment).status == "failed"
    assert len(installation.said("outage:a newer version")) == 1
    assert worker.poll() is None


@both_databases
def test_a_worker_recovers_nothing_in_a_store_that_a_newer_version_has_migrated(
    installation: Installation,
) -> None:
    with subprocess.Popen(["true"]) as gone:
        process = ProcessIdentity.of(gone.pid)
    _, lease = installation.store.request_leased(REQUEST, process)
    assert lease is not None
    installation.store.execute("INSERT INTO tb_migrations (name, checksum) VALUES ('9999', 'c')")
    with pytest.raises(StoreError, match="a newer version of Fraisier made the store"):
        installation.store.take_over(installation.store.leases()[0], process)
    assert [held.lease for held in installation.store.leases()] == [lease]
    for held in installation.store.leases():
        assert held.holder == process


@both_databases
def test_no_worker_recovers_or_ends_what_another_one_of_the_host_executes(installation: Installation) -> None:
    with subprocess.Popen(["sleep", "600"]) as process, ExitStack() as at_end:
        at_end.callback(process.kill)
        _, lease = installation.store.request_leased(REQUEST, ProcessIdentity.of(process.pid))
        assert lease is not None
        for _ in range(3):
            installation.start()
        others = [installation.store.request(REQUEST._replace(environment="staging")) for _ in range(3)]
        installation.store.wake()
        for each in others:
            installation.ended(each)
        assert installation.store.expired() == []
        assert process.poll() is None
        assert installation.store.deployment(lease.deployment_id).attempt == 1
    ended = installation.ended(lease.deployment_id)
    assert (ended.status, ended.attempt) == ("failed", 2)
    assert len(installation.said(f"the process of deployment {lease.deployment_id} is gone")) == 1

"""Faults of the worker and of a deployment's process, beyond being killed at every point."""

from __future__ import annotations

import signal
import subprocess
from contextlib import closing

import pytest
from fraisier_core.system.processes import descendants
from fraisier_core.system.timing import LEASE

from tests.databases import both_databases
from tests.faults.driver import BUILD, GATED, TWO_ENVIRONMENTS, Driver, Process
from tests.faults.invariants import check_invariants
from tests.postgres import USUAL
from tests.stores import OpenStore

TREE = f"{BUILD}sleep 600 & setsid sleep 600 & wait\n"
TREE_ONCE = f'{BUILD}test ! -e "$LEDGER.once" || exit 0\ntouch "$LEDGER.once"\n{TREE.removeprefix(BUILD)}'

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
EXPIRY = "SELECT expires FROM tb_leases"


def deployed(driver: Driver) -> str:
    """Deploy a first version, and return its commit."""
    driver.start()
    commit = driver.commit()
    assert driver.deploy(commit)["status"] == "success"
    return commit


@both_databases
def test_f04_a_run_without_a_step_is_done_again_once(driver: Driver) -> None:
    driver.start("after_claim:kill")
    commit = driver.commit()
    deployment = driver.deliver(commit).deployment
    driver.wait(driver.workers[0])
    driver.start_worker()
    assert driver.ended(deployment)["attempt"] == 2
    assert driver.events(deployment)[:4] == ["requested", "claimed", "requeued", "claimed"]
    assert driver.ledger().count(f"build {commit}") == 1
    check_invariants(driver)


@both_databases
def test_f04_a_run_without_a_step_gives_way_to_a_newer_one(driver: Driver) -> None:
    driver.start("after_claim:kill")
    old = driver.deliver(driver.commit()).deployment
    driver.wait(driver.workers[0])
    newest = driver.commit()
    newer = driver.deliver(newest).deployment
    driver.start_worker()
    assert driver.ended(newer)["status"] == "success"
    found = driver.ended(old)
    assert (found["status"], found["superseded_by"]) == ("superseded", newer)
    assert driver.serving() == newest
    check_invariants(driver)


def launcher_of(driver: Driver) -> Process:
    """Return the only child of the worker: every other process descends from that."""
    below = descendants(driver.workers[0].pid)
    return Process(max(below, key=lambda each: len(descendants(each.pid))))


def test_what_runs_goes_on_if_the_launcher_is_killed_and_so_does_the_worker(driver: Driver) -> None:
    driver.configure(TWO_ENVIRONMENTS)
    driver.start_worker(slots=2)
    driver.start_web()
    worker = driver.workers[0]
    gates = f"#!/bin/sh\nwhile [ ! -e {driver.folder}/$FRAISIER_ENVIRONMENT-gate ]; do sleep 0.01; done\n"
    body = driver.deliver(driver.commit({"build.sh": gates})).body["deployments"]
    staging, production = (each["id"] for each in body)
    for each in (staging, production):
        driver.wait_for_step(each, "build")
    driver.kill(launcher_of(driver))
    (driver.folder / "staging-gate").touch()
    assert driver.ended(staging)["status"] == "success"
    again = driver.deliver(driver.commit({"build.sh": "#!/bin/sh\n"})).body["deployments"][0]["id"]
    assert driver.ended(again)["status"] == "success"
    assert driver.deployment(production)["status"] == "running"
    (driver.folder / "production-gate").touch()
    assert driver.ended(production)["status"] == "success"
    assert worker.identity.is_alive()
    log = (driver.folder / "worker.log").read_text()
    assert "ERROR the launcher was killed by SIGKILL; it is started again in 1 s" in log
    check_invariants(driver)


def test_f46_old_releases_are_deleted_when_nothing_executes(driver: Driver) -> None:
    driver.configure({"        timeout: 8": "        keep_releases: 2\n        timeout: 8"})
    driver.start()
    for _ in range(3):
        assert driver.deploy(driver.commit())["status"] == "success"
    gated = driver.deliver(driver.commit({"build.sh": GATED})).deployment
    driver.wait_for_step(gated, "build")
    (old,) = driver.set_aside()
    driver.gate.touch()
    assert driver.ended(gated)["status"] == "success"
    assert old in driver.set_aside()
    driver.wait_for(lambda: not driver.set_aside())
    check_invariants(driver)


def test_f46_the_process_that_deletes_is_named_if_it_is_killed(driver: Driver) -> None:
    root = driver.folder / ".fraisier/releases/my_api/production"
    (root / ".trash-old").mkdir(parents=True)
    driver.start_worker(fault="delete:hold")
    driver.kill(driver.process(driver.fault_pid()))
    driver.wait_for(lambda: not driver.set_aside())
    log = (driver.folder / "worker.log").read_text()
    assert "the process that deletes old releases is gone; it is started again in 1 s" in log


def test_f05_a_mirror_is_usable_after_a_kill_in_the_middle_of_a_fetch(driver: Driver) -> None:
    driver.fault_file.touch()
    driver.start("fetch:kill")
    old = driver.commit()
    assert driver.deploy(old)["status"] == "success"
    driver.fault_file.unlink()
    new = driver.commit()
    assert driver.deploy(new, before=old)["status"] == "interrupted"
    (mirror,) = (driver.folder / ".fraisier/mirrors").glob("*.git")
    (mirror / "packed-refs.lock").touch()  # what a killed git leaves
    assert driver.deploy(driver.commit(), before=new)["status"] == "success"
    fsck = ["git", "-C", str(mirror), "fsck", "--connectivity-only"]
    assert subprocess.run(fsck, capture_output=True, check=False).returncode == 0
    check_invariants(driver)


@both_databases
def test_f10_what_a_killed_process_ran_is_ended_and_its_commit_requested_anew(driver: Driver) -> None:
    old = deployed(driver)
    commit = driver.commit({"build.sh": TREE_ONCE})
    deployment = driver.deliver(commit, before=old).deployment
    driver.wait_for(lambda: f"build {commit}" in driver.ledger())
    driver.kill_deployment(deployment)
    ended = driver.ended(deployment)
    assert ended["status"] == "interrupted"
    assert "step build" in ended["error_message"]
    anew = driver.ended(driver.anew(deployment))
    assert (anew["status"], anew["trigger"], anew["commit_sha"]) == ("success", "recovery", commit)
    check_invariants(driver)
    assert driver.ledger().count(f"build {commit}") == 2
    assert (driver.serving(), driver.awaits_decision()) == (commit, None)


def test_a_commit_that_is_interrupted_twice_waits_for_a_decision(driver: Driver) -> None:
    old = deployed(driver)
    deployment = driver.deliver(driver.commit({"build.sh": GATED}), before=old).deployment
    for _ in range(2):
        driver.wait_for_step(deployment, "build")
        driver.kill_deployment(deployment)
        last = driver.ended(deployment)
        assert last["status"] == "interrupted"
        deployment = driver.anew(deployment) if last["recovers"] is None else deployment
    assert driver.awaits_decision() == deployment
    check_invariants(driver)
    assert driver.serving() == old
    driver.gate.touch()
    newest = driver.commit()
    assert driver.deploy(newest)["status"] == "success"
    assert (driver.serving(), driver.awaits_decision()) == (newest, None)


def test_a_migration_that_was_interrupted_waits_for_a_decision(driver: Driver) -> None:
    old = deployed(driver)
    slow = "test ! -e {folder}/slow || sleep 600; echo migrate"
    driver.configure({"echo migrate": slow})
    (driver.folder / "slow").touch()
    deployment = driver.deliver(driver.commit(), before=old).deployment
    driver.wait_for_step(deployment, "migrate")
    driver.kill_deployment(deployment)
    assert driver.ended(deployment)["status"] == "interrupted"
    assert driver.awaits_decision() == deployment
    check_invariants(driver)
    assert driver.serving() == old


@both_databases
def test_f12_sigterm_lets_a_deployment_finish_within_the_grace(driver: Driver) -> None:
    driver.start()
    worker = driver.workers[0]
    deployment = driver.deliver(driver.commit({"build.sh": GATED})).deployment
    driver.wait_for_step(deployment, "build")
    worker.signal(signal.SIGTERM)
    waiting = driver.deliver(driver.commit()).deployment
    driver.gate.touch()
    assert driver.wait(worker) == 0
    assert driver.deployment(deployment)["status"] == "success"
    assert driver.deployment(waiting)["status"] == "pending"
    driver.start_worker()
    assert driver.ended(waiting)["status"] == "success"
    check_invariants(driver)


@both_databases
def test_f12_sigterm_interrupts_what_takes_longer_than_the_grace(driver: Driver) -> None:
    driver.start_web()
    worker = driver.start_worker(slots=2, grace=0.1)
    commit = driver.commit({"build.sh": TREE_ONCE})
    deployment = driver.deliver(commit).deployment
    driver.wait_for(lambda: f"build {commit}" in driver.ledger())
    worker.signal(signal.SIGTERM)
    assert driver.wait(worker) == 0
    ended = driver.ended(deployment)
    assert ended["status"] == "interrupted"
    assert ended["error_message"].endswith("nothing was activated")
    assert "Traceback" not in driver.logs()
    driver.start_worker()
    check_invariants(driver)
    assert driver.serving() == commit


@both_databases
def test_f12_what_was_activated_as_the_grace_ended_is_rolled_back_by_the_next_worker(
    driver: Driver,
) -> None:
    driver.start_web()
    worker = driver.start_worker(grace=0.1)
    old = driver.commit()
    assert driver.deploy(old)["status"] == "success"
    deployment = driver.deliver(driver.commit({"restart.sh": "sleep 600\n"}), before=old).deployment
    driver.wait_for_step(deployment, "restart")
    worker.signal(signal.SIGTERM)
    assert driver.wait(worker) == 0
    assert driver.deployment(deployment)["status"] == "running"
    driver.start_worker()
    assert driver.ended(deployment)["status"] == "rolled_back"
    assert driver.serving() == old
    check_invariants(driver)


@both_databases
def test_f27_a_process_that_slept_through_its_lease_is_ended_and_its_writes_are_refused(
    driver: Driver,
) -> None:
    driver.start("before_activate:stop")
    deployment = driver.deliver(driver.commit()).deployment
    stopped = driver.stopped_process()
    driver.database.age_leases(LEASE)
    assert driver.ended(deployment)["status"] == "interrupted"
    assert not stopped.identity.is_alive()
    check_invariants(driver)


@both_databases
def test_f11_a_rollback_is_resumed_before_anything_else_and_no_cancellation_breaks_it(
    driver: Driver,
) -> None:
    driver.fault_file.touch()
    driver.start("rollback:stop")
    old = driver.commit()
    assert driver.deploy(old)["status"] == "success"
    driver.fault_file.unlink()
    deployment = driver.deliver(driver.commit({"unhealthy": ""}), before=old).deployment
    stopped = driver.stopped_process()
    waiting = driver.deliver(driver.commit({"build.sh": GATED})).deployment
    assert driver.wait(driver.command("cancel", deployment)) == 0
    driver.kill(stopped)
    ended = driver.ended(deployment)
    assert ended["status"] == "cancelled"
    assert ended["error_message"].endswith("serves again")
    assert driver.serving() == old
    driver.gate.touch()
    assert driver.ended(waiting)["status"] == "success"
    check_invariants(driver)


def test_a_cancellation_does_not_break_off_a_rollback(driver: Driver) -> None:
    old = deployed(driver)
    files = {"unhealthy": ""}
    slow = "test ! -e {folder}/slow || sleep 1; basename"
    driver.configure({"basename": slow})
    deployment = driver.deliver(driver.commit(files), before=old).deployment
    driver.wait_for_step(deployment, "verify")
    (driver.folder / "slow").touch()
    driver.wait_for(lambda: "rollback_started" in driver.events(deployment))
    assert driver.wait(driver.command("cancel", deployment)) == 0
    ended = driver.ended(deployment)
    assert ended["status"] == "rolled_back"
    assert driver.serving() == old
    check_invariants(driver)


def test_a_step_that_failed_before_a_kill_is_not_taken_for_a_success(driver: Driver) -> None:
    driver.fault_file.touch()
    driver.start("step_restart_finished:kill")
    old = driver.commit()
    assert driver.deploy(old)["status"] == "success"
    driver.fault_file.unlink()
    ended = driver.deploy(driver.commit({"restart.sh": "exit 1\n"}), before=old)
    assert ended["status"] == "rolled_back"
    assert driver.serving() == old
    check_invariants(driver)


def test_what_waits_is_cancelled_at_once(driver: Driver) -> None:
    driver.start_web()
    deployment = driver.deliver(driver.commit()).deployment
    assert driver.wait(driver.command("cancel", deployment)) == 0
    assert driver.deployment(deployment)["status"] == "cancelled"
    driver.start_worker()
    later = driver.commit()
    assert driver.deploy(later)["status"] == "success"
    assert driver.ledger() == [f"build {later}", "migrate"]
    check_invariants(driver)


@both_databases
def test_what_runs_is_cancelled_before_its_activation(driver: Driver) -> None:
    old = deployed(driver)
    deployment = driver.deliver(driver.commit({"build.sh": TREE}), before=old).deployment
    driver.wait_for_step(deployment, "build")
    assert driver.wait(driver.command("cancel", deployment)) == 0
    ended = driver.ended(deployment)
    assert ended["status"] == "cancelled"
    assert ended["error_message"].endswith("nothing was activated")
    assert driver.serving() == old
    check_invariants(driver)


@both_databases
def test_what_is_cancelled_after_its_activation_is_rolled_back(driver: Driver) -> None:
    old = deployed(driver)
    deployment = driver.deliver(driver.commit({"restart.sh": "sleep 600\n"}), before=old).deployment
    driver.wait_for_step(deployment, "restart")
    assert driver.wait(driver.command("cancel", deployment)) == 0
    ended = driver.ended(deployment)
    assert ended["status"] == "cancelled"
    assert ended["error_message"].endswith("serves again")
    assert driver.serving() == old
    assert (driver.folder / "running").read_text().strip() == driver.serving_release()
    check_invariants(driver)


def test_what_has_ended_is_not_cancelled(driver: Driver) -> None:
    driver.start()
    deployment = driver.deploy(driver.commit())
    assert driver.wait(driver.command("cancel", deployment["id"])) != 0
    assert driver.deployment(deployment["id"]) == deployment
    check_invariants(driver)


@pytest.mark.parametrize("database_name", [f"postgresql-{USUAL}"])
def test_a_lease_is_renewed_while_another_client_holds_the_environment(driver: Driver) -> None:
    driver.start()
    deployment = driver.deliver(driver.commit({"build.sh": GATED})).deployment
    driver.wait_for_step(deployment, "build")

    def hold(other: OpenStore) -> None:
        other.all("SELECT 1 FROM tb_environments FOR UPDATE")
        driver.gate.touch()
        driver.wait_for(lambda: driver.rows(WAITING))
        (held,) = driver.rows(EXPIRY)
        driver.wait_for(lambda: driver.rows(EXPIRY)[0]["expires"] > held["expires"])

    assert driver.postgres is not None
    with closing(driver.postgres.open()) as other:
        other.transact(lambda: hold(other))
    assert driver.ended(deployment)["status"] == "success"
    check_invariants(driver)

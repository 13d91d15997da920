"""Faults of the database under a deployment that runs: it goes on, and what it did is recorded in the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from fraisier_core.store.events import Event
from fraisier_core.store.records import Lease
from fraisier_core.system.processes import ProcessIdentity

from tests.faults.driver import GATED, Driver, Process
from tests.faults.invariants import check_invariants
from tests.postgres import Server

ME = ProcessIdentity.of(os.getpid())
BUILT = f'{GATED}echo built >> "$LEDGER"\n'


def end_connections(server: Server) -> None:
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fraisier'"
    )


def stop_and_start(server: Server) -> None:
    server.stop()
    server.start()


def kill_and_start(server: Server) -> None:
    server.kill()
    server.start()


FAULTS = {"ends its connections": end_connections, "restarts": stop_and_start, "is killed": kill_and_start}
faults = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


def started(driver: Driver, script: str = GATED) -> tuple[str, str, Process]:
    """Deploy a first version, begin with another, and return the commits and the process that builds."""
    driver.start()
    old = driver.commit()
    assert driver.deploy(old)["status"] == "success"
    new = driver.commit({"build.sh": script})
    deployment = driver.deliver(new, before=old).deployment
    driver.wait_for(lambda: f"build {new}" in driver.ledger())
    (lease,) = driver.rows("SELECT pid FROM tb_leases")
    return deployment, new, driver.process(lease["pid"])


def taken_over(driver: Driver) -> Lease:
    """Take over the lease of the only deployment that runs, as the worker of another machine would."""
    (held,) = driver.database.leases()
    lease = driver.database.take_over(held, ME)
    assert lease is not None
    return lease


@faults
def test_f25_a_deployment_goes_on_while_the_database(
    driver_on_server: Driver, postgres_server: Server, fault: Callable[[Server], None]
) -> None:
    driver = driver_on_server
    deployment, commit, _ = started(driver)
    fault(postgres_server)
    driver.gate.touch()
    ended = driver.ended(deployment)
    assert (ended["status"], ended["attempt"]) == ("success", 1)
    assert driver.serving() == commit
    check_invariants(driver)


@pytest.mark.parametrize("leave", [Server.stop, Server.kill], ids=["stopped", "killed"])
def test_f25_what_a_deployment_did_without_the_database_is_recorded_once_that_is_back(
    driver_on_server: Driver, postgres_server: Server, leave: Callable[[Server], None]
) -> None:
    driver = driver_on_server
    deployment, commit, process = started(driver, BUILT)
    leave(postgres_server)
    driver.gate.touch()
    driver.wait_for(lambda: "built" in driver.ledger())
    driver.kill(driver.web)
    assert process.identity.is_alive()
    postgres_server.start()
    ended = driver.ended(deployment)
    assert (ended["status"], ended["attempt"]) == ("success", 1)
    assert driver.serving() == commit
    steps = driver.database.steps(deployment)
    assert [each.status for each in steps] == ["success"] * len(steps)
    check_invariants(driver)


def test_f25_a_deployment_that_lost_its_lease_meanwhile_swaps_nothing(
    driver_on_server: Driver, postgres_server: Server
) -> None:
    driver = driver_on_server
    deployment, _, process = started(driver)
    before = (driver.folder / "app").readlink()
    process.signal(signal.SIGSTOP)
    stop_and_start(postgres_server)
    lease = taken_over(driver)
    driver.gate.touch()
    process.signal(signal.SIGCONT)
    driver.wait_for(lambda: not process.identity.is_alive())
    assert (driver.folder / "app").readlink() == before
    assert "activation_started" not in driver.events(deployment)
    assert [held.lease for held in driver.database.leases()] == [lease]
    driver.database.append(lease, Event("interrupted", message="by this test"))
    check_invariants(driver)


@pytest.mark.parametrize("point", ["step_fetch", "step_build_finished", "step_activate", "step_restart"])
def test_f27_whoever_slept_while_another_took_over_swaps_nothing_and_undoes_nothing(
    driver_on_server: Driver, point: str
) -> None:
    driver = driver_on_server
    driver.fault_file.touch()
    driver.start(f"{point}:stop")
    old = driver.commit()
    assert driver.deploy(old)["status"] == "success"
    driver.fault_file.unlink()
    deployment = driver.deliver(driver.commit(), before=old).deployment
    stopped = driver.stopped_process()
    link, events = (driver.folder / "app").readlink(), driver.events(deployment)
    lease = taken_over(driver)
    stopped.signal(signal.SIGCONT)
    driver.wait_for(lambda: not stopped.identity.is_alive())
    assert (driver.folder / "app").readlink() == link
    assert driver.events(deployment) == events
    driver.database.append(lease, Event("serving"), Event("failed", message="by this test"))
    driver.settled()


def test_a_deployment_ends_with_its_worker_though_the_database_is_away(
    driver_on_server: Driver, postgres_server: Server
) -> None:
    driver = driver_on_server
    deployment, commit, process = started(driver)
    postgres_server.stop()
    driver.kill(*driver.workers)
    driver.wait_for(lambda: not process.identity.is_alive())
    postgres_server.start()
    driver.start_worker()
    assert driver.ended(deployment)["status"] == "interrupted"
    driver.kill(driver.web)  # what was requested anew would wait for the gate
    assert driver.awaits_decision() is None
    driver.wait_for(lambda: driver.ledger().count(f"build {commit}") == 2)


def test_sigterm_ends_a_worker_and_what_it_executes_though_the_database_is_away(
    driver_on_server: Driver, postgres_server: Server
) -> None:
    driver = driver_on_server
    driver.start_web()
    worker = driver.start_worker(grace=0.1)
    commit = driver.commit({"build.sh": GATED})
    driver.deliver(commit)
    driver.wait_for(lambda: f"build {commit}" in driver.ledger())
    postgres_server.stop()
    worker.signal(signal.SIGTERM)
    assert driver.wait(worker) == 0
    driver.kill(driver.web)
    driver.wait_for(lambda: not driver.warm.offspring())


def test_f25_a_command_follows_its_deployment_through_a_restart_of_the_database(
    driver_on_server: Driver, postgres_server: Server
) -> None:
    driver = driver_on_server
    driver.commit({"build.sh": GATED})
    command = driver.command("deploy", "my_api", "production")
    driver.wait_for(lambda: any(line.startswith("build ") for line in driver.ledger()))
    postgres_server.stop()
    driver.gate.touch()
    postgres_server.start()
    assert driver.wait(command) == 0
    (deployment,) = driver.rows("SELECT status, attempt FROM tb_deployments")
    assert deployment == {"status": "success", "attempt": 1}
    check_invariants(driver)


def test_what_runs_goes_on_to_its_end_in_a_store_that_a_newer_version_has_migrated(
    driver_on_server: Driver,
) -> None:
    driver = driver_on_server
    deployment, commit, _ = started(driver)
    worker = driver.workers[0]
    waiting = driver.deliver(driver.commit(), before=commit).deployment
    driver.database.execute("ALTER TABLE tb_deployments ADD COLUMN later text")
    driver.database.execute("INSERT INTO tb_migrations VALUES ('0099_later.sql', 'c')")
    driver.gate.touch()
    assert driver.ended(deployment)["status"] == "success"
    driver.wait_for(lambda: "a newer version of Fraisier made the store" in driver.logs())
    assert driver.deployment(waiting)["status"] == "pending"
    assert worker.identity.is_alive()

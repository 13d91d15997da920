"""Every named point of a deployment, and at each: its process killed, its worker, or all there is."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.faults.driver import Driver, Process
from tests.faults.invariants import check_invariants
from tests.postgres import USUAL

ANEW = "interrupted, requested anew"

# The row of the fault matrix, the point at which the deployment's process is killed, and how it then ends.
ENDINGS = [
    ("F04", "after_claim", "success"),  # no step had started: it runs again
    ("F05", "step_fetch", ANEW),
    ("F05", "fetch", ANEW),
    ("F06", "export", ANEW),
    ("F07", "after_export", ANEW),
    ("F07", "step_fetch_finished", ANEW),
    ("F10", "step_build", ANEW),
    ("F10", "step_build_finished", ANEW),
    ("F10", "step_migrate", "interrupted"),
    ("F10", "step_migrate_finished", "interrupted"),
    ("F08", "step_activate", "interrupted"),
    ("F08", "before_activate", "interrupted"),
    ("F08", "before_swap", "interrupted"),
    ("F09", "after_swap", "interrupted"),
    ("F09", "after_activate", "interrupted"),
    ("F09", "step_activate_finished", "rolled_back"),  # whether the deployer went on cannot be told
    ("F10", "step_restart", "rolled_back"),  # whether it was restarted cannot be told
    ("F09", "step_restart_finished", "rolled_back"),  # whether `deploy` had more to do cannot be told
    ("F09", "step_verify", "success"),
    ("F09", "step_verify_finished", "success"),
    ("F09", "before_success", "success"),
    ("F11", "rollback", "rolled_back"),
]


def _process(driver: Driver) -> list[Process]:
    (lease,) = driver.rows("SELECT pid FROM tb_leases")
    return [driver.process(lease["pid"])]


def _worker(driver: Driver) -> list[Process]:
    return list(driver.workers)


def _worker_and_web(driver: Driver) -> list[Process]:
    assert driver.web is not None
    return [*driver.workers, driver.web]


VICTIMS = {"process": _process, "worker": _worker, "worker-and-web": _worker_and_web}


# On PostgreSQL, those between which the store is asked for something else; the rest is the same.
ON_POSTGRES = {
    "after_claim",
    "step_fetch",
    "step_build",
    "before_swap",
    "after_swap",
    "step_restart",
    "rollback",
}
FAULTS = [
    pytest.param(*fault, victims, database, id=f"{fault[0]}-{fault[1]}-{name}-{database}")
    for database in ("sqlite", f"postgresql-{USUAL}")
    for name, victims in VICTIMS.items()
    for fault in ENDINGS
    if database == "sqlite" or (fault[1] in ON_POSTGRES and name == "process")
]


@pytest.mark.parametrize(("row", "point", "ending", "victims", "database_name"), FAULTS)
def test_a_kill_at_any_point_leaves_the_serving_release_in_order(
    driver: Driver, row: str, point: str, ending: str, victims: Callable[[Driver], list[Process]]
) -> None:
    driver.fault_file.touch()  # the first deployment passes
    driver.start(f"{point}:stop")
    old = driver.commit()
    assert driver.deploy(old)["status"] == "success"
    driver.fault_file.unlink()

    new = driver.commit({"unhealthy": ""} if point == "rollback" else {})
    deployment = driver.deliver(new, before=old).deployment
    stopped = driver.stopped_process()
    doomed = victims(driver)
    driver.kill(*doomed)
    stopped.signal(signal.SIGCONT)
    driver.start_what_is_missing()

    status = driver.ended(deployment)["status"]
    check_invariants(driver)
    waits = driver.awaits_decision()
    assert driver.serving() == (old if waits else new)
    assert waits in {deployment, None}
    if victims is _process:
        assert status == ending.partition(",")[0]
        assert (waits is None) is (ending in {"success", ANEW})
    else:  # how far it gets before it notices is open
        assert status in {"success", "interrupted", "rolled_back"}

    newest = driver.commit()
    assert driver.deploy(newest, before=new)["status"] == "success"
    assert driver.serving() == newest
    assert driver.leftovers() == []
    check_invariants(driver)

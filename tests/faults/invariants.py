"""What holds after every fault, whatever happened: the invariants I1 to I7 of the fault matrix."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from fraisier_core.store.vocabulary import ENDED

from tests.faults.driver import SECRET, TOKEN, Driver
from tests.stores import OpenStore, open_store

FOLDED = ("tb_deployments", "tb_attempts", "tb_steps", "tb_serving")


def check_invariants(driver: Driver) -> None:
    """Wait until everything has ended, and check every invariant."""
    driver.settled()
    acknowledged_is_recorded(driver)
    one_deployment_a_delivery(driver)
    one_running_at_a_time(driver)
    app_path_points_to_a_complete_release(driver, "app", "production")
    nothing_is_stuck(driver)
    history_only_grew(driver)
    no_secret_is_seen(driver)


def acknowledged_is_recorded(driver: Driver) -> None:
    """I1: what was answered with 202 is on disk."""
    events = {row["id"] for row in driver.rows("SELECT id FROM tb_webhook_events")}
    deployments = {row["id"] for row in driver.rows("SELECT id FROM tb_deployments")}
    for answer in driver.answers:
        if answer.status == 202:
            assert answer.body["event"] in events
            assert {each["id"] for each in answer.body["deployments"]} <= deployments


def one_deployment_a_delivery(driver: Driver) -> None:
    """I2: a delivery deploys each of its refs to an environment once at most, unless users replay it."""
    assert not driver.rows(
        "SELECT w.provider, w.delivery_id FROM tb_deployments AS d "
        "JOIN tb_webhook_events AS w ON w.id = d.webhook_event_id WHERE d.trigger <> 'replay' "
        "GROUP BY w.provider, w.delivery_id, d.fraise_id, d.environment, d.ref HAVING count(*) > 1"
    )


def one_running_at_a_time(driver: Driver) -> None:
    """I3: at no moment did two deployments run in one environment."""
    environments = {
        row["id"]: (row["fraise_id"], row["environment"])
        for row in driver.rows("SELECT id, fraise_id, environment FROM tb_deployments")
    }
    running: dict[tuple[str, str], str] = {}
    for event in driver.rows("SELECT deployment_id, event FROM tb_deployment_events ORDER BY sequence"):
        where, who = environments[event["deployment_id"]], event["deployment_id"]
        if event["event"] == "claimed":
            assert where not in running
            running[where] = who
        elif event["event"] in {*ENDED, "success", "requeued"} and running.get(where) == who:
            del running[where]
    assert not running


def app_path_points_to_a_complete_release(driver: Driver, app_path: str, environment: str) -> None:
    """I4: `app_path` points to a complete release, and to the one that the store says is serving."""
    link = driver.folder / app_path
    if not link.is_symlink():
        return
    release = link.resolve(strict=True)
    version = (release / "a-first").read_text()
    assert version.isdecimal()
    assert (release / "z-last").read_text() == version
    assert (release.parent / f".commit-{release.name}").read_text()
    assert driver.serving_release(environment) in {release.name, None}


def nothing_is_stuck(driver: Driver) -> None:
    """I5: every deployment has ended, no lease is held, and nothing of one still runs."""
    assert {row["status"] for row in driver.rows("SELECT status FROM tb_deployments")} <= ENDED
    assert not driver.rows("SELECT * FROM tb_leases")
    alive = [process for process in [driver.web, *driver.workers] if process is not None]
    driver.wait_for(lambda: not driver.warm.offspring(spare=alive))


def history_only_grew(driver: Driver) -> None:
    """I6: no event changed since the last look, times run forward, and the events say all there is."""
    events = [
        tuple(row.values()) for row in driver.rows("SELECT * FROM tb_deployment_events ORDER BY sequence")
    ]
    assert events[: len(driver.seen_events)] == driver.seen_events
    driver.seen_events = events
    assert not driver.rows(
        "SELECT * FROM tb_deployments WHERE started_at < requested_at OR completed_at < started_at "
        "OR completed_at < requested_at OR duration < 0"
    )
    assert not driver.rows("SELECT * FROM tb_steps WHERE completed_at < started_at OR duration < 0")
    _folding_again_changes_nothing(driver)


def _folding_again_changes_nothing(driver: Driver) -> None:
    with closing(_copy_of(driver)) as database:
        before = _folded(database)
        database.rebuild()
        assert _folded(database) == before


def _copy_of(driver: Driver) -> OpenStore:
    if driver.postgres is not None:  # itself: nothing else changes it now
        return driver.postgres.open()
    copy = driver.folder / "copy.db"
    copy.unlink(missing_ok=True)
    driver.database.execute("VACUUM INTO :copy", {"copy": str(copy)})
    return open_store(copy)


def _folded(database: OpenStore) -> dict[str, list[Any]]:
    return {
        table: [tuple(row.values()) for row in database.all(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")]
        for table in FOLDED
    }


def no_secret_is_seen(driver: Driver) -> None:
    """I7: neither the webhook's secret nor the application's is in a log, the store or an answer."""
    answers = json.dumps([answer.body for answer in driver.answers])
    for secret in (SECRET, TOKEN):
        assert secret not in answers
        # In a process of its own: closing a file of SQLite's takes the locks of this one's connection away.
        grep = ["grep", "-laF", "--", secret, *map(str, _written(driver.folder))]
        found = subprocess.run(grep, capture_output=True, check=False)
        assert (found.returncode, found.stdout) == (1, b"")


def _written(folder: Path) -> list[Path]:
    state = [path for path in (folder / ".fraisier").iterdir() if path.is_file()]
    return [*state, *folder.glob("*.log")]

"""Commands that misbehave: they are bounded, they leave nothing behind, and what served still serves."""

from __future__ import annotations

from tests.faults.driver import BUILD, Driver
from tests.faults.invariants import check_invariants

LOG_LIMIT = 256 * 1024
MEMORY_KILOBYTES = 30_000
PEAK = 'grep VmHWM "/proc/$PPID/status" >> "$LEDGER"\n'


def test_f36_a_build_that_hangs_is_ended_with_all_it_started(driver: Driver) -> None:
    driver.configure({"        timeout: 8": "        timeout: 1"})
    driver.start()
    ended = driver.deploy(driver.commit({"build.sh": f"{BUILD}sleep 600 & setsid sleep 600 & wait\n"}))
    assert ended["status"] == "failed"
    assert ended["error_message"] == "./build.sh timed out after 1 s (timeout); nothing was activated"
    check_invariants(driver)
    assert driver.deploy(driver.commit())["status"] == "success"
    check_invariants(driver)


def test_f36_a_build_that_falls_silent_is_ended(driver: Driver) -> None:
    driver.configure({"silence_timeout: 8": "silence_timeout: 0.3"})
    driver.start()
    ended = driver.deploy(driver.commit({"build.sh": f"{BUILD}sleep 600\n"}))
    assert ended["status"] == "failed"
    silent = "./build.sh printed nothing for 0.3 s (silence_timeout)"
    assert ended["error_message"] == f"{silent}; nothing was activated"
    check_invariants(driver)


def test_f37_what_a_build_daemonises_does_not_outlive_it(driver: Driver) -> None:
    daemon = "setsid sh -c 'setsid sleep 600 & sleep 600' >/dev/null 2>&1 </dev/null &\n"
    driver.start()
    assert driver.deploy(driver.commit({"build.sh": BUILD + daemon}))["status"] == "success"
    check_invariants(driver)


def test_f38_a_grandchild_that_holds_the_output_is_not_waited_for(driver: Driver) -> None:
    driver.start()
    ended = driver.deploy(driver.commit({"build.sh": f"{BUILD}sleep 600 &\necho last words\n"}))
    assert ended["status"] == "success"
    assert "last words" in "".join(row["text"] for row in driver.rows("SELECT text FROM tb_deployment_logs"))
    check_invariants(driver)


def test_f39_endless_output_of_anything_is_bounded(driver: Driver) -> None:
    noise = "head -c 150000000 /dev/zero\nyes | head -c 50000000\nprintf '\\377\\376 the end'\n"
    driver.start()
    ended = driver.deploy(driver.commit({"build.sh": BUILD + PEAK + noise + PEAK}))
    assert ended["status"] == "success"
    before, after = (int(line.split()[1]) for line in driver.ledger() if line.startswith("VmHWM"))
    assert after - before < MEMORY_KILOBYTES
    chunks = driver.rows("SELECT text, dropped FROM tb_deployment_logs ORDER BY sequence")
    assert sum(len(chunk["text"]) for chunk in chunks) < 2 * LOG_LIMIT
    assert sum(chunk["dropped"] for chunk in chunks) > 100_000_000
    assert "the end" in "".join(chunk["text"] for chunk in chunks)
    check_invariants(driver)


def test_f40_an_unhealthy_deployment_is_rolled_back_and_says_both(driver: Driver) -> None:
    driver.start()
    old = driver.commit()
    assert driver.deploy(old)["status"] == "success"
    ended = driver.deploy(driver.commit({"unhealthy": ""}), before=old)
    assert ended["status"] == "rolled_back"
    assert "unhealthy after 2 probes 0.05 s apart" in ended["error_message"]
    assert ended["error_message"].endswith(f"release {ended['previous_release']} serves again")
    sql = "SELECT name, status FROM tb_steps WHERE deployment_id = :id ORDER BY number"
    steps = [(row["name"], row["status"]) for row in driver.rows(sql, id=ended["id"])]
    assert steps[-4:] == [
        ("keep_migrations", "success"), ("activate", "success"), ("restart", "success"), ("verify", "success")
    ]  # fmt: skip
    assert ("verify", "failed") in steps
    assert "rollback_started" in driver.events(ended["id"])
    assert driver.serving() == old
    assert (driver.folder / "running").read_text().strip() == ended["previous_release"]
    check_invariants(driver)


def test_a_first_deployment_that_is_unhealthy_has_nothing_to_roll_back_to(driver: Driver) -> None:
    driver.start()
    ended = driver.deploy(driver.commit({"unhealthy": ""}))
    assert ended["status"] == "failed"
    assert ended["error_message"].endswith("there is no earlier release to roll back to")
    assert driver.serving() is None
    check_invariants(driver)

"""Jobs beside an API on a machine of their own: installed, pushed, fired, failed, and without power."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fraisier.exit_codes import ExitCode

from tests.machine import PATIENCE_SECONDS, Machine, machine
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("real_systemd")

CONFIG = """
fraises:
  my_api:
    type: api
    repository: /srv/git/my_api.git
    environments:
      production: {branch: main, app_path: /srv/jobs/my_api, restart: ["true"], stable_for: 0}
  load:
    type: etl
    repository: /srv/git/load.git
    environments:
      production:
        branch: main
        app_path: /srv/jobs/load
        script_path: load.sh
        run: on_deploy
        retries: {count: 1, delay: 0.1}
        limits: {memory: 80M, tasks: 16}
      trial:
        branch: main
        app_path: /srv/jobs/trial
        script_path: hogs.sh
        schedule: "* * * * *"
        timeout: 25
        silence_timeout: 15
        overlap: allow
        deploy_during_run: true
        limits: {memory: 200M, tasks: 60}
  tick:
    type: scheduled
    repository: /srv/git/tick.git
    environments:
      production:
        branch: main
        app_path: /srv/jobs/tick
        script_path: tick.sh
        overlap: skip
        schedule: {on_calendar: "*:*:0/5"}
branch_mapping:
  main:
    - {fraise: my_api, environment: production}
    - {fraise: load, environment: production}
    - {fraise: load, environment: trial}
    - {fraise: tick, environment: production}
"""
HANGS_ONCE = "#!/bin/sh\n[ -e /srv/jobs/{name}-began ] || {{ touch /srv/jobs/{name}-began; sleep 1000; }}\n"
FAILS_ONCE = "[ -e /srv/jobs/failed ] || { touch /srv/jobs/failed; echo no answer; exit 3; }\necho loaded\n"
# By its first argument, or what the timer runs; those that fork are left behind by it.
HOGS = """\
#!/bin/sh
case "$1" in
    memory) exec python3 -c 'held = b"x" * 400_000_000' ;;
    forks) for i in $(seq 200); do setsid sleep 4321 & done ;;
    hang) while :; do echo still at it; sleep 0.2; done ;;
    silence) sleep 4321 ;;
    daemon) setsid sleep 4321 & echo left it behind ;;
    output) head -c 5000000 /dev/zero | tr '\\0' x; printf 'a\\0b\\377\\376c\\n'; echo printed it all ;;
    *) touch /srv/jobs/by-itself; echo on time ;;
esac
"""
# How each of them ends, and what is said of it.
ENDS = {
    "memory": (ExitCode.FAILED, "memory ran out"),
    "forks": (ExitCode.FAILED, "exited with status 2"),
    "hang": (ExitCode.FAILED, "timed out after 25 s"),
    "silence": (ExitCode.FAILED, "printed nothing for 15 s"),
    "daemon": (ExitCode.SUCCESS, "left it behind"),
    "output": (ExitCode.SUCCESS, "printed it all"),
}
RUN_ALL = """
for what in {all}; do
    {{
        code=0
        fraisier run load trial -- $what || code=$?
        echo exited with $code
    }} > /srv/jobs/said-$what 2>&1 &
done
wait
"""
FILES = {
    "my_api": {"build.sh": HANGS_ONCE.format(name="my_api")},
    "load": {"load.sh": HANGS_ONCE.format(name="load") + FAILS_ONCE, "hogs.sh": HOGS},
    "tick": {"tick.sh": "#!/bin/sh\necho tick\n"},
}
READY = "curl --silent --fail --retry 30 --retry-all-errors --retry-delay 1 http://127.0.0.1:8080/readyz"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
SERVICES = "fraisier-webhook.service fraisier-worker.service"

Row = dict[str, Any]


@pytest.fixture
def served(tmp_path: Path, wheels: Path, wheelhouse: Path) -> Iterator[Machine]:
    """A machine whose units are installed, and whose worker waits for pushes."""
    with machine(tmp_path, wheels, wheelhouse) as made:
        for fraise in FILES:
            made.create_repository(fraise)
        made.configure(CONFIG)
        made.shell(f"systemctl enable --quiet --now {SERVICES}; {READY}; fraisier config install")
        yield made


def fires(served: Machine, fraise: str, environment: str) -> set[str]:
    """Return which fires of a timer ended well."""
    return {
        row["id"]
        for row in served.history(fraise, environment)
        if (row["kind"], row["trigger"], row["status"]) == ("run", "schedule", "success")
    }


def another_tick(served: Machine) -> str:
    """Wait until the timer fires by itself, and the run ends well."""
    before = fires(served, "tick", "production")
    return wait_until(
        lambda: fires(served, "tick", "production") - before, served.told, PATIENCE_SECONDS
    ).pop()


def test_pushes_jobs_and_timers_go_on_through_a_loss_of_power(served: Machine) -> None:
    commits = {fraise: served.push(fraise, files) for fraise, files in FILES.items()}
    for name in ("my_api", "load"):
        served.wait_for_file(f"/srv/jobs/{name}-began")
    before = boot_of_worker(served)
    served.lose_power()
    assert boot_of_worker(served) != before  # no lease of before holds, whatever runs under its process ids

    anew, interrupted = served.wait_for("my_api", "success", "interrupted")
    assert (anew["commit_sha"], anew["recovers"]) == (commits["my_api"], interrupted["id"])
    tick = another_tick(served)
    assert "tick\n" in served.shell(f"fraisier logs {tick}")
    served.shell("systemctl disable --quiet --now fraisier-run-tick.production.timer")
    served.shell("systemctl stop fraisier-worker.service; rm --force /srv/jobs/by-itself")
    what_takes_too_much_is_contained(served)
    served.wait_for_file("/srv/jobs/by-itself")
    served.shell("systemctl start fraisier-worker.service")
    assert fires(served, "load", "trial")

    again, run, deployment = served.wait_for("load", "success", "interrupted", "success")
    assert (run["kind"], run["trigger"], run["requested_for"]) == ("run", "on_deploy", deployment["id"])
    assert (again["kind"], again["executor"], again["recovers"]) == ("run", "unit", run["id"])
    logs = served.shell(f"fraisier logs {again['id']}")
    assert logs.index("no answer") < logs.index("exited with status 3") < logs.index("loaded")

    status = served.shell("fraisier status")
    assert all(fraise in status for fraise in FILES), status
    assert "no worker" not in status
    a_run_that_the_host_stops_for_is_run_again_after_the_next_start(served)


def a_run_that_the_host_stops_for_is_run_again_after_the_next_start(served: Machine) -> None:
    """Shut the machine down while a run is under way, and start it."""
    served.shell("rm /srv/jobs/load-began")
    served.push("load", {"version": "2"})
    served.wait_for_file("/srv/jobs/load-began")
    served.sandbox.stop()
    served.sandbox.start()
    wait_until(lambda: served.history("load")[0]["status"] == "success", served.told, PATIENCE_SECONDS)
    again, stopped = served.history("load")[:2]
    assert stopped["error_message"] == "the host was shut down during step run"
    assert (stopped["status"], again["recovers"]) == ("interrupted", stopped["id"])


def boot_of_worker(served: Machine) -> str:
    """Return the boot id as the worker sees it, which is that of the machine."""
    pid = "$(systemctl show --property=MainPID --value fraisier-worker.service)"
    seen, of_machine = served.shell(f"nsenter --mount --target {pid} cat {BOOT_ID}; cat {BOOT_ID}").split()
    assert seen == of_machine
    return seen


def what_takes_too_much_is_contained(served: Machine) -> None:
    """Run what takes more than it may of all, at once: nothing of it is left, and all else goes on."""
    webhook = "systemctl show --property=MainPID --value fraisier-webhook.service"
    before = served.shell(webhook)
    served.shell(RUN_ALL.format(all=" ".join(ENDS)))
    for what, (code, told) in ENDS.items():
        said = served.shell(f"cat /srv/jobs/said-{what}")
        assert (told in said, said.split()[-1]) == (True, str(int(code))), said
    assert served.sandbox.run("pgrep", "--full", "4321").returncode == 1
    assert served.shell(webhook) == before

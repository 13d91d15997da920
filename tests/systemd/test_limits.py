"""The limits of a unit hold in the sandbox, or no test about them would tell anything."""

from __future__ import annotations

import subprocess
import sys

HOG = "held = b'x' * 200_000_000; print('held it all')"
FORKS = "for i in $(seq 20); do sleep 600 & done; echo forked them all"


def run_unit(limit: str, *command: str) -> subprocess.CompletedProcess[str]:
    unit = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--property={limit}", *command]
    return subprocess.run(unit, check=False, capture_output=True, text=True)


def test_a_unit_that_takes_more_memory_than_it_may_is_killed() -> None:
    done = run_unit("MemoryMax=30M", sys.executable, "-c", HOG)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert run_unit("MemoryMax=300M", sys.executable, "-c", HOG).stdout == "held it all\n"


def test_a_unit_that_forks_more_than_it_may_cannot() -> None:
    done = run_unit("TasksMax=5", "sh", "-c", FORKS)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "fork" in done.stderr
    assert run_unit("TasksMax=50", "sh", "-c", FORKS).stdout == "forked them all\n"

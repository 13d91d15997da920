"""The state of units, as a real systemd tells it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from fraisier_core.system.systemd import RunsFrom, release_of_process, unit_state


def test_an_unknown_unit_is_not_found() -> None:
    state = unit_state("fraisier-no-such.service")
    assert str(state) == "fraisier-no-such.service is not-found"
    assert not state.is_active


def test_a_restart_changes_the_invocation() -> None:
    unit = "fraisier-test-invocation.service"
    run = ["systemd-run", "--quiet", f"--unit={unit}", "--service-type=exec", "sleep", "600"]
    subprocess.run(run, check=True)
    try:
        first = unit_state(unit)
        subprocess.run(["systemctl", "restart", unit], check=True)
        second = unit_state(unit)
    finally:
        subprocess.run(["systemctl", "stop", unit], check=True)
    assert first.is_active
    assert second.is_active
    assert first.invocation_id != second.invocation_id
    assert release_of_process(second.main_pid, Path("/nonexistent/release")) is RunsFrom.UNKNOWN

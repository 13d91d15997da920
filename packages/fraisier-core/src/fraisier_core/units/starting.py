"""Starting the units that execute runs, for whoever requests one and for the worker."""

from __future__ import annotations

from collections.abc import Collection

from fraisier_core.errors import StepFailedError
from fraisier_core.units.job import executor_of
from fraisier_core.units.systemctl import shown, told

INSTALL = "sudo fraisier config install"
_REFUSALS = ("authentication required", "Access denied", "Permission denied", "not authorized")


def start(fraise: str, environment: str, deployment_id: str) -> None:
    """Have systemd start the unit that executes a run; which it may do, `config install` says.

    Args:
        fraise: its fraise.
        environment: its environment.
        deployment_id: the run.

    Raises `StepFailedError` with what to do if systemd refuses.
    """
    unit = executor_of(fraise, environment, deployment_id)
    try:
        told("start", "--no-block", "--", unit, what=f"start {unit}")
    except StepFailedError as error:
        if any(each in str(error) for each in _REFUSALS):
            raise StepFailedError(f"{error}; the polkit rule is missing: run `{INSTALL}`") from error
        if "not found" in str(error):
            raise StepFailedError(f"{error}; run `{INSTALL}`") from error
        raise


def at_work(units: Collection[str]) -> set[str]:
    """Return which of some units are active, or about to be. Raises `StepFailedError`."""
    states = shown(sorted(units), ["ActiveState", "Job"])
    active = {"active", "activating", "deactivating", "reloading"}
    return {
        name for name, told in states.items() if told["ActiveState"][0] in active or any(told.get("Job", ()))
    }

"""Starting the units that execute runs, for whoever requests one and for the worker."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from fraisier_core.errors import StepFailedError
from fraisier_core.units.job import executor_of
from fraisier_core.units.systemctl import shown, told

INSTALL = "sudo fraisier config install"
MOST_AT_ONCE = 20
_REFUSALS = ("authentication required", "Access denied", "Permission denied", "not authorized")


class UnitRefusedError(StepFailedError):
    """Systemd will not start the unit of a run until something is installed."""


class Waiting(NamedTuple):
    """A run that waits for its unit."""

    fraise: str
    environment: str
    deployment_id: str

    @property
    def unit(self) -> str:
        """The unit that executes it."""
        return executor_of(*self)


class Started(NamedTuple):
    """What became of starting a unit: whether it was started now, and why it was not, or never will be."""

    deployment_id: str
    is_new: bool
    problem: str = ""
    is_final: bool = False


def start_missing(waiting: Sequence[Waiting]) -> list[Started]:
    """Start the units of runs that are not at work, some at a time. Raises nothing."""
    try:
        busy = at_work({each.unit for each in waiting})
    except StepFailedError as error:
        return [Started(each.deployment_id, False, str(error)) for each in waiting]
    missing = [each for each in waiting if each.unit not in busy]
    return [_started(each) for each in missing[:MOST_AT_ONCE]]


def _started(each: Waiting) -> Started:
    try:
        start(*each)
    except StepFailedError as error:
        return Started(each.deployment_id, False, str(error), isinstance(error, UnitRefusedError))
    return Started(each.deployment_id, True)


def start(fraise: str, environment: str, deployment_id: str) -> None:
    """Have systemd start the unit that executes a run; which it may do, `config install` says.

    Args:
        fraise: its fraise.
        environment: its environment.
        deployment_id: the run.

    Raises `UnitRefusedError` with what to do if systemd refuses, and `StepFailedError` if it does not answer.
    """
    unit = executor_of(fraise, environment, deployment_id)
    try:
        told("start", "--no-block", "--", unit, what=f"start {unit}")
    except StepFailedError as error:
        if any(each in str(error) for each in _REFUSALS):
            raise UnitRefusedError(f"{error}; the polkit rule is missing: run `{INSTALL}`") from error
        if "not found" in str(error):
            raise UnitRefusedError(f"{error}; run `{INSTALL}`") from error
        raise


def at_work(units: Collection[str]) -> set[str]:
    """Return which of some units are active, or about to be. Raises `StepFailedError`."""
    states = shown(sorted(units), ["ActiveState", "Job"])
    active = {"active", "activating", "deactivating", "reloading"}
    return {
        name for name, told in states.items() if told["ActiveState"][0] in active or any(told.get("Job", ()))
    }

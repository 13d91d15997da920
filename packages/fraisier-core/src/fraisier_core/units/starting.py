"""Starting the units that execute runs, for whoever requests or ends one and for the worker."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from fraisier_core.errors import StepFailedError, StoreError
from fraisier_core.store.protocol import Store
from fraisier_core.store.records import Deployment
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.host import has_systemd
from fraisier_core.units.installed_units import UNITS
from fraisier_core.units.job import executor_of, unit_of
from fraisier_core.units.systemctl import shown, told

INSTALL = "sudo fraisier config install"
SECONDS = 5.0
"""For an answer of systemd: nothing is lost if it comes later, and others wait."""
_REFUSALS = ("authentication required", "Access denied", "Permission denied", "not authorized")


class Waiting(NamedTuple):
    """A run whose turn it is, and that waits for its unit."""

    fraise: str
    environment: str
    deployment_id: str

    @property
    def unit(self) -> str:
        """The unit that executes it."""
        return executor_of(*self)

    @property
    def is_installed(self) -> bool:
        """Whether there is a file of its unit, whatever systemd has read of that."""
        return (UNITS / f"{unit_of(self.fraise, self.environment)}@.service").exists()


class Started(NamedTuple):
    """What became of starting the unit of a run, and what the problem is: systemd refused it, which may pass,
    or does not answer, or it is not installed.
    """

    deployment_id: str
    outcome: Literal["started", "refused", "unanswered", "not installed"]
    problem: str = ""


def start_next(store: Store, fraise: str, environment: str, own: str | None = None) -> list[Started]:
    """Start the units of the runs of an environment whose turn it is, and return what became of each; what
    cannot be started, the worker starts later. Raises nothing.

    Args:
        store: where they wait.
        fraise: their fraise.
        environment: their environment.
        own: the run whose unit is started if the run that it waits for is left behind: it recovers that.
    """
    if not has_systemd():
        return []
    try:
        found = [each.id for each in store.awaiting_units(fraise, environment)]
        if not found and own is not None and _is_left_behind(store, fraise, environment):
            found = [own]
    except StoreError:
        return []
    return start_all([Waiting(fraise, environment, each) for each in found])


def _is_left_behind(store: Store, fraise: str, environment: str) -> bool:
    """Whether a run of an environment is left behind; units do not recover deployments."""
    running = (store.deployment(held.lease.deployment_id) for held in store.expired())
    names = fraise, environment
    return any((each.fraise_id, each.environment) == names and KINDS[each.kind].job for each in running)


def start_missing(waiting: Sequence[Waiting]) -> list[Started]:
    """Start the units of runs that are not at work. Raises nothing."""
    try:
        busy = at_work({each.unit for each in waiting})
    except StepFailedError as error:
        return [Started(each.deployment_id, "unanswered", str(error)) for each in waiting]
    return start_all([each for each in waiting if each.unit not in busy])


def start_all(waiting: Sequence[Waiting]) -> list[Started]:
    """Have systemd start the units of runs, all by one call; which it may do, `config install` says. Raises
    nothing.
    """
    if not waiting:
        return []
    units = [each.unit for each in waiting]
    try:
        told("start", "--no-block", "--", *units, what="start units", seconds=SECONDS)
    except StepFailedError as error:
        return [_outcome(each, str(error), units) for each in waiting]
    return [Started(each.deployment_id, "started") for each in waiting]


def _outcome(each: Waiting, said: str, units: Collection[str]) -> Started:
    """Return what became of one of several units, by what systemctl said of all."""
    lines = said.splitlines()
    if not any(f"{unit}:" in said for unit in units):
        return Started(each.deployment_id, "unanswered", " ".join(lines))
    problem = " ".join(line for line in lines if f"{each.unit}:" in line)
    if not problem:
        return Started(each.deployment_id, "started")
    if not each.is_installed:
        return Started(
            each.deployment_id, "not installed", f"{problem}; it is not installed: run `{INSTALL}`"
        )
    if any(refusal in problem for refusal in _REFUSALS):
        problem = f"{problem}; the polkit rule is missing: run `{INSTALL}`"
    return Started(each.deployment_id, "refused", problem)


def is_at_work(run: Deployment) -> bool:
    """Whether the unit of a run is active, or about to be, or may be because systemd does not answer."""
    unit = executor_of(run.fraise_id, run.environment, run.id)
    try:
        return unit in at_work([unit])
    except StepFailedError:
        return True


def at_work(units: Collection[str]) -> set[str]:
    """Return which of some units are active, or about to be. Raises `StepFailedError`."""
    states = shown(sorted(units), ["ActiveState", "Job"], seconds=SECONDS)
    active = {"active", "activating", "deactivating", "reloading"}
    return {
        name for name, told in states.items() if told["ActiveState"][0] in active or any(told.get("Job", ()))
    }

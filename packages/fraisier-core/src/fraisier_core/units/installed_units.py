"""The units of jobs that are installed, and how they differ from what is configured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fraisier_core.errors import StepFailedError
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.units.job import PREFIX, Job, JobTimer, unit_of
from fraisier_core.units.place import unit_place
from fraisier_core.units.quoting import first_word
from fraisier_core.units.systemctl import Properties, shown
from fraisier_core.units.unit_texts import MARK, UnitPlace, unit_texts

UNITS = Path("/etc/systemd/system")
_COMMAND = re.compile(r"^ExecStart=:(\S.*)", re.MULTILINE)
TIMER_STATE = ("UnitFileState", "ActiveState", "NeedDaemonReload")
"""The properties that say it."""


@dataclass(frozen=True, slots=True)
class TimerState:
    """How systemd sees a unit: whether it is enabled and active, and has been read since it was written."""

    is_enabled: bool
    is_active: bool
    is_stale: bool

    @staticmethod
    def parsed(told: Properties) -> TimerState:
        """Return the state that `systemctl show` tells."""
        enabled, active, stale = (told.get(name, [""])[0] for name in TIMER_STATE)
        return TimerState(enabled == "enabled", active == "active", stale == "yes")


def timer_states(units: Sequence[str]) -> dict[str, TimerState]:
    """Return the states of units, by their names. Raises `StepFailedError`."""
    return {name: TimerState.parsed(told) for name, told in shown(units, TIMER_STATE).items()}


def text_of(path: Path) -> str | None:
    """Return what a file says, None if there is none; of a link, where it leads. Raises `StepFailedError` if
    it cannot be read.
    """
    try:
        if path.is_symlink():
            return f"a link to {path.readlink()}\n"
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StepFailedError(f"{path} cannot be read: {error.strerror}") from error


def installed_units(folder: Path, place: UnitPlace) -> dict[Path, str]:
    """Return the texts of the units that were written for this configuration, by their paths."""
    return written_here(folder.glob(f"{PREFIX}*"), place)


def written_here(paths: Iterable[Path], place: UnitPlace) -> dict[Path, str]:
    """Return the texts of those files that were written for this configuration. Raises `StepFailedError`."""
    texts = {path: text_of(path) or "" for path in sorted(paths) if path.is_file()}
    return {path: text for path, text in texts.items() if is_ours(text, place)}


def is_ours(text: str, place: UnitPlace) -> bool:
    """Whether a text begins with the mark of this configuration."""
    return text.partition("\n")[0].lstrip("#/ ") == place.mark


def left_timers(config: Path, environments: Iterable[tuple[str, str]], folder: Path = UNITS) -> list[str]:
    """Return the timers that were installed from a configuration for environments that it has no more: they
    go on firing. Raises `StepFailedError`.
    """
    known = {name for names in environments for name in _names(unit_of(*names))}
    others = [path for path in sorted(folder.glob(f"{PREFIX}*.timer")) if path.name not in known]
    return [path.name for path in others if (text_of(path) or "").startswith(f"# {MARK}{config}\n")]


def installed_names(fraise: str, environment: str) -> list[str]:
    """Return which of the units that an environment may have are there, whoever wrote them."""
    return [name for name in _names(unit_of(fraise, environment)) if (UNITS / name).exists()]


def differences(names: tuple[str, str], job: Job | None, config: Path, state_dir: Path) -> list[str]:
    """Return how the installed units of an environment differ from its job.

    Args:
        names: the fraise and the environment.
        job: what is configured, if units run it.
        config: the configuration.
        state_dir: the state folder.

    Which program they call is theirs to say. Raises `StepFailedError` if systemd does not answer.
    """
    unit = unit_of(*names)
    there = {name: text_of(UNITS / name) for name in _names(unit)}
    command = _COMMAND.search(there[_names(unit)[0]] or "")
    place = unit_place(first_word(command[1]) if command else "fraisier", config, state_dir)
    wanted: Mapping[str, str] = unit_texts(job, place) if job else {}
    found = [_difference(name, text, wanted.get(name), place) for name, text in there.items()]
    return [each for each in found if each] or [
        each for timer in (job.timers if job else ()) for each in _idle(timer)
    ]


def _names(unit: str) -> tuple[str, ...]:
    """Return the names of all units that an environment may have; that of the executor comes first."""
    units = unit, *(f"{unit}.{kind.name}" for kind in KINDS.values() if kind.job)
    return f"{unit}@.service", *(f"{each}.{suffix}" for each in units for suffix in ("service", "timer"))


def _difference(name: str, text: str | None, wanted: str | None, place: UnitPlace) -> str:
    if text == wanted or (wanted is None and not is_ours(text or "", place)):
        return ""
    if text is None:
        return f"{name} is not installed"
    return f"{name} is no longer configured" if wanted is None else f"{name} differs"


def _idle(timer: JobTimer) -> list[str]:
    requester = timer.requester
    states = timer_states([timer.name, requester])  # of a template, each instance is read anew
    found = [
        _unread(requester) if states[requester].is_stale else None,
        not_at_work(timer, states[timer.name]),
    ]
    return [each for each in found if each]


def not_at_work(timer: JobTimer, state: TimerState) -> str | None:
    """Return what keeps a timer from firing as its file says, None if nothing does."""
    if state.is_stale:
        return _unread(timer.name)
    if not state.is_enabled:
        return f"{timer.name} is not enabled"
    return None if state.is_active or timer.schedule.at_start else f"{timer.name} is not active"


def _unread(name: str) -> str:
    return f"systemd has not read {name} since it was written"

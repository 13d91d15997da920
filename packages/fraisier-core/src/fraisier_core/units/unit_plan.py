"""Installing the units of a configuration: what would change is planned first, checked, and then done."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from fraisier_core.errors import ConflictError, StepFailedError
from fraisier_core.system.disk import replace_file, sync_directory
from fraisier_core.system.queries import NoAnswerError
from fraisier_core.system.systemd import asked
from fraisier_core.units.installed_units import (
    UNITS,
    TimerState,
    installed_units,
    is_ours,
    text_of,
    timer_states,
    written_here,
)
from fraisier_core.units.job import Job, JobTimer
from fraisier_core.units.polkit import RULE_NAMES, RULES, polkit_rule, require_polkit, rule_name
from fraisier_core.units.systemctl import told
from fraisier_core.units.unit_texts import MARK, UnitPlace, unit_texts

_VERIFY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is written, or deleted: what it says and is to say, None if it is not there."""

    path: Path
    before: str | None
    after: str | None

    def diff(self) -> str:
        """Return the change in the unified format."""
        before, after = ((text or "").splitlines(keepends=True) for text in (self.before, self.after))
        old, new = ("/dev/null" if text is None else str(self.path) for text in (self.before, self.after))
        return "".join(unified_diff(before, after, old, new))


@dataclass(frozen=True, slots=True)
class Plan:
    """What installing does, in this order; `commands` are the arguments of `systemctl` in the end."""

    disable: tuple[str, ...]
    changes: tuple[Change, ...]
    commands: tuple[tuple[str, ...], ...]

    @property
    def is_empty(self) -> bool:
        """Whether everything is as it should be."""
        return not (self.disable or self.changes or self.commands)

    @property
    def first(self) -> tuple[tuple[str, ...], ...]:
        """The arguments of `systemctl` before any file changes."""
        return (("disable", "--now", "--quiet", *self.disable),) if self.disable else ()


def plan(jobs: Sequence[Job], place: UnitPlace, units: Path = UNITS, rules: Path = RULES) -> Plan:
    """Return what installing the units of some jobs, and no others, takes.

    Raises `ConflictError` if a file that is not ours has the name of one of ours, or polkit is missing, and
    `StepFailedError` if systemd does not answer.
    """
    if jobs and place.owner != "root":  # who needs no permission
        require_polkit(rules)
    changes = file_changes(jobs, place, units, rules)
    _require_ours(changes, place)
    gone = tuple(each.path.name for each in changes if each.after is None and each.path.suffix == ".timer")
    return Plan(gone, changes, _commands(jobs, changes, _texts(jobs, place), units))


def file_changes(
    jobs: Iterable[Job], place: UnitPlace, units: Path = UNITS, rules: Path = RULES
) -> tuple[Change, ...]:
    """Return the files that change, in this order: the rule never names a unit that is not there, which its
    owner could make up, as root's.
    """
    wanted = {units / name: text for name, text in _texts(jobs, place).items()}
    there = {path: text_of(path) for path in wanted} | installed_units(units, place)
    kept = _rule(place, rules, (path.name for path in wanted if there[path]))
    last = _rule(place, rules, (path.name for path in wanted))
    ruled = {path: text_of(path) for path in last} | written_here(rules.glob(RULE_NAMES), place)
    return (*_changes(ruled, kept), *_changes(there, wanted), *_changes(kept, last))


def _texts(jobs: Iterable[Job], place: UnitPlace) -> dict[str, str]:
    return {name: text for job in jobs for name, text in unit_texts(job, place).items()}


def _rule(place: UnitPlace, rules: Path, names: Iterable[str]) -> dict[Path, str]:
    found = list(names)
    return {rules / rule_name(place): polkit_rule(place, found)} if found and place.owner != "root" else {}


def _changes(there: Mapping[Path, str | None], wanted: Mapping[Path, str]) -> Iterator[Change]:
    for path in sorted({*there, *wanted}):
        if there.get(path) != wanted.get(path):
            yield Change(path, there.get(path), wanted.get(path))


def apply(planned: Plan) -> None:
    """Do what is planned. Raises `StepFailedError`; doing it again goes on where it failed."""
    for arguments in planned.first:
        told(*arguments, what="disable timers")
    for change in planned.changes:
        _write(change)
    for arguments in planned.commands:
        told(*arguments, what=f"{arguments[0]} units")


def verify(jobs: Iterable[Job], place: UnitPlace) -> None:
    """Have systemd check the units of jobs. Raises `StepFailedError` with all that it finds wrong."""
    with tempfile.TemporaryDirectory(prefix="fraisier-units-") as folder:
        paths = [Path(folder, name) for name in _put(jobs, place, Path(folder))]
        if not paths:
            return
        try:
            said = asked(["systemd-analyze", "verify", "--man=no", *map(str, paths)], _VERIFY_SECONDS)
        except NoAnswerError as error:
            raise StepFailedError(f"the units cannot be checked: {error}") from error
        lines = said.errors.decode(errors="replace").replace(f"{folder}/", "").splitlines()
        ours = [line for line in lines if any(path.name.partition("@")[0] in line for path in paths)]
        if ours or said.status:
            raise StepFailedError("systemd does not accept the units:\n" + "\n".join(ours or lines))


def _put(jobs: Iterable[Job], place: UnitPlace, folder: Path) -> list[str]:
    texts = _texts(jobs, place)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return list(texts)


def _require_ours(changes: Iterable[Change], place: UnitPlace) -> None:
    foreign = [
        f"{each.path}: {_origin(each.before)}, and nothing is changed"
        for each in changes
        if each.before and not is_ours(each.before, place)
    ]
    if foreign:
        what = "choose another name for the fraise or the environment, or delete what is not needed any more"
        raise ConflictError("\n".join([*foreign, f"{what}; then run this again"]))


def _origin(text: str) -> str:
    _, mark, config = text.partition("\n")[0].partition(MARK)
    return f"installed from {config}" if mark else "not written by `fraisier config install`"


def _commands(
    jobs: Sequence[Job], changes: Sequence[Change], names: Iterable[str], units: Path
) -> tuple[tuple[str, ...], ...]:
    states = timer_states([name.replace("@.", "@0.") for name in names])
    written = {each.path.name for each in changes if each.path.parent == units}
    timers = {timer.name: timer for job in jobs for timer in job.timers}
    enable = [name for name in timers if not states[name].is_enabled]
    restart = [name for name, timer in timers.items() if _starts(timer, states[name], name in written)]
    reload = written or any(each.is_stale for each in states.values())
    found = (
        ("daemon-reload",) if reload else (),
        ("enable", "--quiet", *enable) if enable else (),
        ("restart", *restart) if restart else (),
    )
    return tuple(each for each in found if each)


def _starts(timer: JobTimer, state: TimerState, is_written: bool) -> bool:
    """Whether a timer is to be started, or again: not one of the host's start, which would fire at once."""
    return not timer.schedule.at_start and (is_written or state.is_stale or not state.is_active)


def _write(change: Change) -> None:
    try:
        if change.after is None:
            change.path.unlink(missing_ok=True)
            sync_directory(change.path.parent)
        else:
            replace_file(change.path, change.after, 0o644)
    except OSError as error:
        what = "written" if change.after is not None else "deleted"
        raise StepFailedError(f"{change.path} cannot be {what}: {error.strerror}") from error

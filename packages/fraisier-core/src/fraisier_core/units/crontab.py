"""What does the same without systemd: lines of a crontab, which say what they do not do."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from fraisier_core.job_settings import LimitsSection, ScheduleSection
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.host import host_zone
from fraisier_core.units.job import Job, JobTimer

_ZONE = "# CRON_TZ is for all lines below it; cronie knows it, Debian's cron goes by the host's zone:"
_NO_CRON = "# {}: cron knows no calendar expressions; translate {}:"


def crontab(jobs: Iterable[Job], program: str, config: Path) -> list[str]:
    """Return lines for the end of the owner's crontab, which request and execute the same runs.

    A time zone is for all lines below it, so jobs without one come first. Comments say what of each job cron
    does not do. A calendar expression is systemd's own: its line is a comment, too.

    Args:
        jobs: those with a schedule or limits.
        program: the command `fraisier`.
        config: the configuration.
    """
    lines: list[str] = []
    zone = ""
    for each, limits in sorted(_entries(jobs), key=lambda entry: _zone(entry[0])):
        if _zone(each) != zone:
            zone = _zone(each)
            lines += [_ZONE, f"CRON_TZ={zone}"]
        lines += _lines(each, limits, program, config)
    return lines


def _entries(jobs: Iterable[Job]) -> Iterator[tuple[Job | JobTimer, LimitsSection]]:
    """Yield what has lines of its own: each timer, or a job without one."""
    for job in jobs:
        for each in job.timers or (job,):
            yield each, job.limits


def _zone(each: Job | JobTimer) -> str:
    """Return the time zone in which cron has to read a line, empty for that of the host."""
    schedule = each.schedule if isinstance(each, JobTimer) else None
    if schedule is None or schedule.cron is None or schedule.time_zone in {None, host_zone()}:
        return ""
    return schedule.time_zone or ""


def _lines(each: Job | JobTimer, limits: LimitsSection, program: str, config: Path) -> Iterator[str]:
    name, schedule = (
        f"{each.fraise} {each.environment}",
        each.schedule if isinstance(each, JobTimer) else None,
    )
    if lost := list(_lost(schedule, limits)):
        yield f"# {name}: without systemd, it has no {', no '.join(lost)}"
    if not isinstance(each, JobTimer):
        return
    asks = KINDS[each.kind].again[0].split()
    argv = [program, "-c", str(config), *asks, each.fraise, each.environment, "--scheduled"]
    command = f"{shlex.join(argv)} > /dev/null".replace("%", r"\%")
    if each.schedule.cron is None:
        yield _NO_CRON.format(name, " and ".join(each.schedule.expressions))
        yield f"# MINUTE HOUR DAY MONTH WEEKDAY {command}"
    else:
        yield f"{each.schedule.cron} {command}"


def _lost(schedule: ScheduleSection | None, limits: LimitsSection) -> Iterator[str]:
    if schedule is not None and schedule.persistent:
        yield "run in place of one that was missed"
    if schedule is not None and schedule.random_delay:
        yield "random delay"
    for name in limits.model_dump(exclude_none=True):
        yield f"limit of {name}"

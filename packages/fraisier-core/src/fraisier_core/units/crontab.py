"""What does the same without systemd: lines of a crontab, which say what they do not do."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from fraisier_core.system.host import host_zone
from fraisier_core.units.job import Job

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
    for job in sorted(jobs, key=_zone):
        if _zone(job) != zone:
            zone = _zone(job)
            lines += [_ZONE, f"CRON_TZ={zone}"]
        lines += _lines(job, program, config)
    return lines


def _zone(job: Job) -> str:
    """Return the time zone in which cron has to read a line, empty for that of the host."""
    schedule = job.schedule
    if schedule is None or schedule.cron is None or schedule.time_zone in {None, host_zone()}:
        return ""
    return schedule.time_zone or ""


def _lines(job: Job, program: str, config: Path) -> Iterator[str]:
    name = f"{job.fraise} {job.environment}"
    if lost := list(_lost(job)):
        yield f"# {name}: without systemd, it has no {', no '.join(lost)}"
    if job.schedule is None:
        return
    argv = [program, "-c", str(config), "run", job.fraise, job.environment, "--scheduled"]
    command = f"{shlex.join(argv)} > /dev/null".replace("%", r"\%")
    if job.schedule.cron is None:
        yield _NO_CRON.format(name, " and ".join(job.schedule.expressions))
        yield f"# MINUTE HOUR DAY MONTH WEEKDAY {command}"
    else:
        yield f"{job.schedule.cron} {command}"


def _lost(job: Job) -> Iterator[str]:
    if job.schedule is not None and job.schedule.persistent:
        yield "run in place of one that was missed"
    if job.schedule is not None and job.schedule.random_delay:
        yield "random delay"
    for name in job.limits.model_dump(exclude_none=True):
        yield f"limit of {name}"

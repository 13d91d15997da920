"""What there is to say of the schedules of jobs: when each requests a run next, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from fraisier_core.job_settings import ScheduleSection
from fraisier_core.system.host import utc_text
from fraisier_core.units.installed_units import TIMER_STATE, UNITS, TimerState, not_at_work
from fraisier_core.units.job import Job
from fraisier_core.units.overdue import first_due_by_systemd, last_due, missed, next_due
from fraisier_core.units.starting import INSTALL
from fraisier_core.units.systemctl import Properties, shown

MOST_ASKED = 20
"""Of how many timers systemd is asked when they should have fired: it takes a process for each."""
Names = tuple[str, str]
_LAST, _NEXT, _STARTED = "LastTriggerUSec", "NextElapseUSecRealtime", "ActiveEnterTimestamp"
_PROPERTIES = ("LoadState", *TIMER_STATE, _LAST, _NEXT, _STARTED)
_TIME = "%a %Y-%m-%d %H:%M:%S UTC"


class TimerFacts(NamedTuple):
    """When a run is requested next, in UTC, None if nobody knows; what is wrong."""

    next: str | None
    problem: str | None


class _Timer(NamedTuple):
    """A timer as systemd has it; `since` is when it fired last, or was installed or enabled."""

    job: Job
    schedule: ScheduleSection
    told: Properties
    since: datetime | None

    def time(self, name: str) -> datetime | None:
        text = self.told[name][0]
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC) if text else None

    @property
    def may_have_missed(self) -> bool:
        """Whether only systemd knows if it fired whenever it should: it did not go on all the time."""
        started = self.time(_STARTED)
        restarted = self.since is not None and started is not None and self.since < started
        return self.schedule.cron is None and restarted


def timer_facts(
    jobs: Sequence[Job], fired: Mapping[Names, str], now: datetime | None = None
) -> dict[Names, TimerFacts]:
    """Return what there is to say of the timers of jobs, by fraise and environment.

    Args:
        jobs: those that have a schedule.
        fired: when a timer last requested a run, as the store has it.
        now: the time.

    Raises `StepFailedError` if systemd does not answer.
    """
    at = now or datetime.now(UTC)
    timers = _timers(jobs, fired)
    doubtful = list(islice((each for each in timers if each.may_have_missed), MOST_ASKED))
    asked = {
        each.job.timer: first_due_by_systemd(each.schedule, each.since) for each in doubtful if each.since
    }
    return {
        (each.job.fraise, each.job.environment): _facts(each, asked.get(each.job.timer), at)
        for each in timers
    }


def facts_without_systemd(
    jobs: Sequence[Job], since: Mapping[Names, str], now: datetime | None = None
) -> dict[Names, TimerFacts]:
    """Return what there is to say of jobs that cron requests; nothing of what only systemd could request.

    Args:
        jobs: those that have a schedule.
        since: when a run was requested last, else when the job was deployed.
        now: the time.
    """
    at, found = now or datetime.now(UTC), {}
    for job in jobs:
        if job.schedule is not None and job.schedule.cron is not None:
            names = job.fraise, job.environment
            upcoming, known = next_due(job.schedule, at), _parsed(since.get(names))
            due = missed(job.schedule, known, [last_due(job.schedule, known, at)], at) if known else None
            look = "the crontab, as `fraisier config install` tells"
            found[names] = TimerFacts(_text(upcoming), _in_words(due, look) if due else None)
    return found


def _timers(jobs: Sequence[Job], fired: Mapping[Names, str]) -> list[_Timer]:
    told = shown([job.timer for job in jobs], _PROPERTIES)
    found = []
    for job in jobs:
        assert job.schedule is not None  # noqa: S101 - it has a timer
        link = UNITS / "timers.target.wants" / job.timer  # made anew when it is enabled
        times = _parsed(fired.get((job.fraise, job.environment))), _changed(UNITS / job.timer), _changed(link)
        found.append(_Timer(job, job.schedule, told[job.timer], max(filter(None, times), default=None)))
    return found


def _facts(timer: _Timer, asked: datetime | None, now: datetime) -> TimerFacts:
    upcoming = timer.time(_NEXT)
    problem = _not_at_work(timer) or _overdue(timer, asked, now)
    return TimerFacts(_text(upcoming), problem)


def _not_at_work(timer: _Timer) -> str | None:
    is_there = timer.told["LoadState"][0] == "loaded"
    found = (
        not_at_work(timer.job, TimerState.parsed(timer.told))
        if is_there
        else f"{timer.job.timer} is not installed"
    )
    return f"{found}: run `{INSTALL}`" if found else None


def _overdue(timer: _Timer, asked: datetime | None, now: datetime) -> str | None:
    """Return what to say if a run was due that no timer requested."""
    if timer.since is None:
        return None
    due = [timer.time(_LAST), timer.time(_NEXT), last_due(timer.schedule, timer.since, now), asked]
    found = missed(timer.schedule, timer.since, due, now)
    job = timer.job
    return _in_words(found, f"`journalctl -u {job.timer} -u {job.unit}.service`") if found else None


def _in_words(missed_at: datetime, look: str) -> str:
    return f"a run was due at {missed_at:%Y-%m-%d %H:%M} UTC, and none was requested: see {look}"


def _changed(path: Path) -> datetime | None:
    with suppress(OSError):
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    return None


def _text(at: datetime | None) -> str | None:
    return utc_text(at) if at else None


def _parsed(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

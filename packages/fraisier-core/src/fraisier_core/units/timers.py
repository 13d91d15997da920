"""What systemd says of the timers of jobs: when each fires next, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fraisier_core.system.host import host_zone, utc_text
from fraisier_core.text.cron import read_cron
from fraisier_core.units.installed_units import UNITS
from fraisier_core.units.job import Job
from fraisier_core.units.starting import INSTALL
from fraisier_core.units.systemctl import Properties, shown

GRACE = timedelta(minutes=2)
"""How late a run may be requested before that is said."""
_PROPERTIES = ("LoadState", "UnitFileState", "ActiveState", "LastTriggerUSec", "NextElapseUSecRealtime")
_TIME = "%a %Y-%m-%d %H:%M:%S UTC"


class TimerFacts(NamedTuple):
    """When a timer fires next, in UTC, None if that is unknown or at the start of the host; what is wrong."""

    next: str | None
    problem: str | None


def timer_facts(
    jobs: Sequence[Job], fired: Mapping[tuple[str, str], str], now: datetime | None = None
) -> dict[tuple[str, str], TimerFacts]:
    """Return what there is to say of the timers of jobs, by fraise and environment.

    Args:
        jobs: those that have a schedule.
        fired: when a timer last requested a run, as the store has it.
        now: the time.

    Raises `StepFailedError` if systemd does not answer.
    """
    told = shown([job.timer for job in jobs], _PROPERTIES)
    at = now or datetime.now(UTC)
    names = [(job.fraise, job.environment) for job in jobs]
    return {
        each: _facts(job, told[job.timer], fired.get(each), at) for each, job in zip(names, jobs, strict=True)
    }


def _facts(job: Job, told: Properties, fired: str | None, now: datetime) -> TimerFacts:
    upcoming = _time(told, "NextElapseUSecRealtime")
    problem = _not_at_work(job, told) or _overdue(job, told, _parsed(fired), now)
    return TimerFacts(utc_text(upcoming) if upcoming else None, problem)


def _not_at_work(job: Job, told: Properties) -> str | None:
    load, enabled, active = (told[name][0] for name in _PROPERTIES[:3])
    if load != "loaded":
        return f"{job.timer} is not installed: run `{INSTALL}`"
    if enabled != "enabled":
        return f"{job.timer} is not enabled: run `{INSTALL}`"
    at_start = job.schedule is not None and job.schedule.at_start
    return None if active == "active" or at_start else f"{job.timer} is not active: run `{INSTALL}`"


def _overdue(job: Job, told: Properties, fired: datetime | None, now: datetime) -> str | None:
    """Return what to say if a run was due that no timer requested."""
    assert job.schedule is not None  # noqa: S101 - it has a timer
    since = max(filter(None, [fired, _installed(job)]), default=None)
    late = GRACE + timedelta(seconds=job.schedule.random_delay)
    if since is None or job.schedule.at_start:
        return None
    due = [
        _time(told, "LastTriggerUSec"),
        _time(told, "NextElapseUSecRealtime"),
        _last_due(job, since, now - late),
    ]
    missed = [at for at in due if at is not None and since + timedelta(seconds=1) < at <= now - late]
    if not missed:
        return None
    return f"a run was due at {max(missed):%Y-%m-%d %H:%M} UTC, and none was requested: {_look(job)}"


def _look(job: Job) -> str:
    return f"`journalctl -u {job.timer} -u {job.unit}.service`"


def _last_due(job: Job, since: datetime, limit: datetime) -> datetime | None:
    """Return when cron would have fired last; of a calendar expression, only systemd knows."""
    schedule = job.schedule
    if schedule is None or schedule.cron is None:
        return None
    zone = ZoneInfo(schedule.time_zone or host_zone())
    found = read_cron(schedule.cron).last_before(limit.astimezone(zone), since.astimezone(zone))
    return found and found.astimezone(UTC)


def _installed(job: Job) -> datetime | None:
    with suppress(OSError):
        return datetime.fromtimestamp((UNITS / job.timer).stat().st_mtime, UTC)
    return None


def _time(told: Properties, name: str) -> datetime | None:
    return datetime.strptime(told[name][0], _TIME).replace(tzinfo=UTC) if told[name][0] else None


def _parsed(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

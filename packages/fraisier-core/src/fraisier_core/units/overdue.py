"""When a job should have run and was not requested."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from fraisier_core.job_settings import ScheduleSection
from fraisier_core.system.host import host_zone
from fraisier_core.system.queries import NoAnswerError
from fraisier_core.system.systemd import asked
from fraisier_core.text.cron import read_cron

GRACE = timedelta(minutes=2)
"""How late a run may be requested before that is said."""
_APART = timedelta(seconds=1)
_TIME = "%Y-%m-%d %H:%M:%S"
_FIRST = re.compile(rb"(?:Next elapse|\(in UTC\)): \w+ (\S+ \S+) UTC")
_SECONDS = 10.0


def missed(
    schedule: ScheduleSection, since: datetime, due: Iterable[datetime | None], now: datetime
) -> datetime | None:
    """Return the last of some times at which a run was due and none was requested, None if there is none.

    Args:
        schedule: whose random delay has to pass, too.
        since: when one was requested last, or the schedule became valid.
        due: when runs are due.
        now: the time.
    """
    limit = _limit(schedule, now)
    return max((at for at in due if at is not None and since + _APART < at <= limit), default=None)


def last_due(schedule: ScheduleSection, since: datetime, now: datetime) -> datetime | None:
    """Return when a run was due last, as cron has it; of a calendar expression, only systemd knows."""
    if schedule.cron is None:
        return None
    if schedule.at_start:
        return now - timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
    zone = _zone(schedule)
    limit = _limit(schedule, now).astimezone(zone)
    found = read_cron(schedule.cron).last_before(limit, since.astimezone(zone))
    return found and found.astimezone(UTC)


def next_due(schedule: ScheduleSection, now: datetime) -> datetime | None:
    """Return when a run is due next, as cron has it."""
    if schedule.cron is None or schedule.at_start:
        return None
    found = read_cron(schedule.cron).first_after(now.astimezone(_zone(schedule)))
    return found and found.astimezone(UTC)


def first_due_by_systemd(schedule: ScheduleSection, since: datetime) -> datetime | None:
    """Return when a run was due first after a time, which costs a process once; None if systemd is silent."""
    try:
        return _first_due(tuple(schedule.expressions), since, host_zone())
    except NoAnswerError:
        return None


@lru_cache(maxsize=1000)
def _first_due(expressions: tuple[str, ...], since: datetime, zone: str) -> datetime | None:
    argv = ["systemd-analyze", "calendar", "--iterations=1", f"--base-time={since:{_TIME}} UTC"]
    said = asked([*argv, "--", *expressions], _SECONDS, time_zone=zone)
    found = [datetime.strptime(each.decode(), _TIME) for each in _FIRST.findall(said.output)]
    return min(found).replace(tzinfo=UTC) if found else None


def _limit(schedule: ScheduleSection, now: datetime) -> datetime:
    """Return what is late if it was due until then."""
    return now - GRACE - timedelta(seconds=schedule.random_delay)


def _zone(schedule: ScheduleSection) -> ZoneInfo:
    return ZoneInfo(schedule.time_zone or host_zone())

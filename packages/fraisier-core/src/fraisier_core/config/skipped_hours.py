"""Jobs that do not run on the day on which the clock of their time zone skips their hour."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from fraisier_core.config.fraise import Environment
from fraisier_core.config.sections import ConfigReader
from fraisier_core.config.yamlfile import Keys
from fraisier_core.job_settings import JobSettings, ScheduleSection
from fraisier_core.system.host import host_zone
from fraisier_core.text.cron import read_cron

_DAYS = 2 * 366


def find_skipped_hours(reader: ConfigReader, environments: Iterable[Environment]) -> list[str]:
    """Return a warning for each job that does not run on a day of the next two years."""
    return [
        found
        for each in environments
        if isinstance(each.outcome, JobSettings)
        for kind, schedule in each.outcome.schedules.items()
        if (found := _skipped(reader, each, schedule, () if kind == each.outcome.kind else (kind,)))
    ]


def _skipped(
    reader: ConfigReader, environment: Environment, schedule: ScheduleSection, within: Keys
) -> str | None:
    if schedule.cron is None or schedule.at_start:
        return None
    zone = schedule.time_zone or host_zone()
    day = read_cron(schedule.cron).skipped_day(ZoneInfo(zone), datetime.now(UTC).date(), _DAYS)
    if day is None:
        return None
    keys = ("fraises", environment.fraise, "environments", environment.name, *within, "schedule")
    what = f"does not run on {day}, when the clock of {zone} skips its hour"
    return reader.message(keys, f"{what}; choose an hour that every day has, or time_zone: UTC")

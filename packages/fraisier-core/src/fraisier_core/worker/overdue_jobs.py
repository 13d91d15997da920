"""Which jobs did not run in time, by what the configuration and the record say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from fraisier_core.config import Config, Environment
from fraisier_core.errors import FraisierError
from fraisier_core.job_settings import ScheduleSection
from fraisier_core.observer_context import Missed
from fraisier_core.store.protocol import Reader
from fraisier_core.system.host import utc_text
from fraisier_core.units.installed_units import UNITS
from fraisier_core.units.job import unit_of
from fraisier_core.units.overdue import first_due_by_systemd, last_due, missed

MOST_ASKED = 20
"""Of how many schedules systemd is asked at a time: it takes a process for each."""


def overdue_jobs(config: Config, store: Reader, begun: datetime, now: datetime) -> list[Missed]:
    """Return the jobs of which a run was due and none was requested. Raises `StoreError`.

    Args:
        config: the configuration.
        store: the record.
        begun: since when somebody looks; a job that was never requested counts from then.
        now: the time.
    """
    newest = {
        (each.fraise_id, each.environment, each.kind): each.requested_at
        for each in reversed(store.newest_runs())
        if each.trigger == "schedule"
    }
    asked, found = 0, []
    for environment, kind, schedule in _schedules(config):
        asked += schedule.cron is None
        if schedule.cron is None and asked > MOST_ASKED:
            continue
        requested_at = newest.get((environment.fraise, environment.name, kind), "")
        requested = datetime.fromisoformat(requested_at) if requested_at else begun
        since = max(requested, _scheduled_since(config, environment) or begun)
        if due := _missed(schedule, since, now):
            found.append(Missed(environment.fraise, environment.name, kind, utc_text(due), requested_at))
    return found


def _schedules(config: Config) -> Iterator[tuple[Environment, str, ScheduleSection]]:
    for environment in config.environments:
        with suppress(FraisierError):
            job = environment.job
            for kind, schedule in job.schedules.items() if job else ():
                yield environment, kind, schedule


def _missed(schedule: ScheduleSection, since: datetime, now: datetime) -> datetime | None:
    due = last_due(schedule, since, now) if schedule.cron else first_due_by_systemd(schedule, since)
    return missed(schedule, since, [due], now)


def _scheduled_since(config: Config, environment: Environment) -> datetime | None:
    """Return when its timers were installed, on a host without systemd when the configuration was written."""
    unit = unit_of(environment.fraise, environment.name)
    times = []
    for path in [*UNITS.glob(f"{unit}*.timer")] or [config.path]:
        with suppress(OSError):
            times.append(datetime.fromtimestamp(path.lstat().st_mtime, UTC))
    return max(times, default=None)

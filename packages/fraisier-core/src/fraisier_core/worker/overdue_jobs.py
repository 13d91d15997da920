"""Which jobs did not run in time, by what the configuration and the record say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from fraisier_core.config import Config
from fraisier_core.errors import FraisierError
from fraisier_core.job_settings import ScheduleSection
from fraisier_core.observer_context import Missed
from fraisier_core.store.protocol import Reader
from fraisier_core.store.vocabulary import KINDS
from fraisier_core.system.host import utc_text
from fraisier_core.units.job import Job, JobTimer
from fraisier_core.units.overdue import first_due_by_systemd, last_due, missed
from fraisier_core.units.timers import installed_since


def overdue_jobs(config: Config, store: Reader, begun: datetime, now: datetime) -> list[Missed]:
    """Return the jobs of which a run was due and none was requested. Raises `StoreError`.

    A job counts from when its schedule requested it last, or its timer was installed; without either, from
    when it was deployed, and what needs no release from when somebody looks.

    Args:
        config: the configuration.
        store: the record.
        begun: since when somebody looks.
        now: the time.
    """
    fired = {
        (each.fraise_id, each.environment, each.kind): each.requested_at
        for each in reversed(store.newest_runs())
        if each.trigger == "schedule"
    }
    deployed = {(each.fraise_id, each.environment): each.last_deployed for each in store.status()}
    found = []
    for timer in _timers(config):
        known = _time(fired.get(timer.key)), installed_since(timer)
        since = max(filter(None, known), default=None) or _time(deployed.get(timer.key[:2]))
        if since is None and KINDS[timer.kind].source == "nothing":
            since = begun
        if since is not None and (due := _missed(timer.schedule, since, now)):
            found.append(Missed(*timer.key, utc_text(due), fired.get(timer.key, "")))
    return found


def _timers(config: Config) -> Iterator[JobTimer]:
    for environment in config.environments:
        with suppress(FraisierError):
            job = Job.of(environment)
            yield from job.timers if job else ()


def _missed(schedule: ScheduleSection, since: datetime, now: datetime) -> datetime | None:
    due = last_due(schedule, since, now) if schedule.cron else first_due_by_systemd(schedule, since)
    return missed(schedule, since, [due], now)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

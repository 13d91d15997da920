"""When a job should have run, and when it runs next, as far as that can be known without systemd."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from fraisier_core.job_settings import ScheduleSection
from fraisier_core.system.host import utc_text
from fraisier_core.text.cron import read_cron
from fraisier_core.units.job import JobTimer, unit_of
from fraisier_core.units.timers import TimerFacts, facts_without_systemd

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def facts(schedule: dict[str, Any] | str, since: datetime | None, now: datetime = NOW) -> TimerFacts | None:
    section = {"cron": schedule} if isinstance(schedule, str) else schedule
    names = ("load", "production", "run")
    timer = JobTimer(*names, ScheduleSection.model_validate(section), unit_of(*names[:2]))
    return facts_without_systemd([timer], {names: utc_text(since)} if since else {}, now).get(names)


def utc(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return NOW.replace(hour=hour, minute=minute, second=second)


@pytest.mark.parametrize(
    ("schedule", "since", "due"),
    [
        ("30 11 * * *", utc(11), "11:30"),
        ("30 11 * * *", utc(11, 30, 2), None),
        ("30 11 * * *", utc(11, 29), "11:30"),
        ("59 11 * * *", utc(11), None),
        ("*/5 * * * *", utc(11), "11:55"),
        ("0 * * * *", utc(11, 0, 3), None),
        ({"cron": "50 11 * * *", "random_delay": "5m"}, utc(11), "11:50"),
        ({"cron": "54 11 * * *", "random_delay": "5m"}, utc(11), None),
        ({"cron": "30 12 * * *", "time_zone": "Europe/Berlin"}, utc(11), "11:30"),
        ({"cron": "30 11 * * *", "time_zone": "Europe/Berlin"}, utc(11), None),
        ("30 11 1 2 *", utc(11), None),
    ],
)
def test_a_run_is_overdue_once_its_time_its_delay_and_a_while_have_passed(
    schedule: dict[str, Any] | str, since: datetime, due: str | None
) -> None:
    if isinstance(schedule, str):
        schedule = {"cron": schedule, "time_zone": "UTC"}
    found = facts({"time_zone": "UTC", **schedule}, since)
    assert found is not None
    told = f"a run was due at 2026-01-31 {due} UTC, and none was requested: see "
    assert found.problem is None if due is None else told in (found.problem or "")


def test_a_job_is_not_overdue_before_it_is_deployed() -> None:
    assert facts("* * * * *", None) == TimerFacts(utc_text(utc(12, 1)), None)


def test_the_start_of_the_host_is_due_once_it_has_started() -> None:
    now = datetime.now(UTC)
    started = now - timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
    later = now + timedelta(minutes=5)  # as if it had been up longer
    for schedule in ("@reboot", " @Reboot "):
        before, since = (facts(schedule, started + timedelta(seconds=each), later) for each in (-60, 400))
        assert before is not None
        assert before.next is None
        assert "a run was due at " in (before.problem or "")
        assert since == TimerFacts(None, None)


def test_what_only_systemd_could_request_has_no_facts_without_it() -> None:
    assert facts({"on_calendar": "daily"}, utc(1)) is None


@pytest.mark.parametrize("text", ["*/7 3-5 * * 1,5", "0 0 29 2 *", "30 2 13 * 5", "59 23 31 */3 *"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_the_next_times_are_those_of_cron(text: str, zone: str) -> None:
    at = NOW.astimezone(ZoneInfo(zone))
    for each in islice(CronSim(text, at), 4):
        found = read_cron(text).first_after(at)
        assert found == each
        at = each

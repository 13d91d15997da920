"""Cron expressions fire when cron fires, as `cronsim` and the real systemd say."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from fraisier_core.text.cron import is_reboot, read_cron

from tests.crons import cron_fires, some_expressions, timer_fires

BASE = datetime(2026, 1, 1, tzinfo=UTC)
FIRES = 100
EXPRESSIONS = 1000


@pytest.mark.usefixtures("systemd_analyze")
def test_a_thousand_expressions_fire_exactly_when_cron_does() -> None:
    texts = some_expressions(EXPRESSIONS)
    for text, timer in zip(texts, timer_fires(texts, "UTC", BASE, FIRES), strict=True):
        assert timer == cron_fires(text, "UTC", BASE, FIRES), text
        assert len(timer) == FIRES, text


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("30 2 * * *", ["*-*-* 02:30:00"]),
        ("0 0 13 * 5", ["*-*-13 00:00:00", "Fri *-*-* 00:00:00"]),
        ("0 0 13 * */5", ["Fri,Sun *-*-13 00:00:00"]),
        ("*/15 9-17 * * MON-FRI", ["Mon,Tue,Wed,Thu,Fri *-*-* 09..17:00..45/15:00"]),
        ("5,35 */2 1 jan,Jul *", ["*-01,07-01 00..22/2:05,35:00"]),
        ("0 0 * * 7", ["Sun *-*-* 00:00:00"]),
        ("0 0 1-31 * 5", ["*-*-* 00:00:00", "Fri *-*-* 00:00:00"]),
        ("@weekly", ["Sun *-*-* 00:00:00"]),
        (" @Hourly ", ["*-*-* *:00:00"]),
    ],
)
def test_an_expression_is_written_in_the_words_of_systemd(text: str, lines: list[str]) -> None:
    assert list(read_cron(text).on_calendar()) == lines


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("* * * *", "takes five fields"),
        ("0 0 * * * *", "takes five fields"),
        ("60 * * * *", "minute: '60' is not 0 to 59"),
        ("* * 0 * *", "day of the month: '0' is not 1 to 31"),
        ("* * * foo *", "month: 'foo' is not 1 to 12, or jan to dec"),
        ("* * * * 5-2", "day of the week: '5-2' names nothing"),
        ("*/0 * * * *", "names nothing"),
        ("1, * * * *", "minute: '' is no number"),
        ("0 0 31 4,6 *", "never comes"),
        ("0 0 30 feb *", "never comes"),
        ("@fortnightly", "is none of @yearly"),
        ("0 0 L * *", "day of the month: 'l' is not"),
    ],
)
def test_what_cron_does_not_know_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        read_cron(text)


@pytest.mark.parametrize("text", ["0 0 13 * 5", "0 0 * 2 1-5", "0 0 31 */2 *", "0 0 */10 * sun"])
def test_the_days_of_an_expression_are_those_on_which_cron_fires(text: str) -> None:
    read, days = read_cron(text), [date(2027, 1, 1) + timedelta(number) for number in range(400)]
    cron = {at.date() for at in islice(CronSim(text, datetime(2026, 12, 31, 23, tzinfo=UTC)), 400)}
    assert [day for day in days if read.fires_on(day)] == [day for day in days if day in cron]


def test_the_start_of_the_host_is_no_time() -> None:
    assert is_reboot("@Reboot")
    assert not is_reboot("@daily")


@pytest.mark.parametrize(
    ("text", "limit", "since", "last"),
    [
        ("30 2 * * *", "2026-03-10 09:00", "2026-03-09 03:00", "2026-03-10 02:30"),
        ("30 2 * * *", "2026-03-10 02:00", "2026-03-09 02:30", None),
        ("30 2 * * *", "2026-03-29 12:00", "2026-03-28 03:00", None),  # the clock skips it
        ("0 3 1 * *", "2026-05-20 00:00", "2026-02-01 00:00", "2026-05-01 03:00"),
        ("*/20 * * * *", "2026-05-20 00:19", "2026-05-19 23:00", "2026-05-20 00:00"),
    ],
)
def test_the_last_time_is_told_as_the_clock_of_the_zone_has_it(
    text: str, limit: str, since: str, last: str | None
) -> None:
    zone = ZoneInfo("Europe/Berlin")
    latest, earliest = (datetime.fromisoformat(each).replace(tzinfo=zone) for each in (limit, since))
    found = read_cron(text).last_before(latest, earliest)
    assert (found and f"{found:%Y-%m-%d %H:%M}") == last


@pytest.mark.parametrize(
    ("text", "zone", "day"),
    [
        ("30 2 * * *", "Europe/Berlin", "2027-03-28"),
        ("0,59 2 * * sun", "Europe/Berlin", "2027-03-28"),
        ("15 2 * * *", "America/New_York", "2027-03-14"),
        ("30 2 * * mon", "Europe/Berlin", None),
        ("30 2,4 * * *", "Europe/Berlin", None),
        ("30 3 * * *", "Europe/Berlin", None),
        ("30 2 * * *", "UTC", None),
    ],
)
def test_the_day_is_told_on_which_a_zone_skips_every_time_and_systemd_does_not_fire(
    text: str, zone: str, day: str | None
) -> None:
    found = read_cron(text).skipped_day(ZoneInfo(zone), date(2027, 1, 1), 300)
    assert (found and str(found)) == day

"""When a zone changes its clock, timers differ from cron in the changed hours alone, as a page tells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.crons import cron_fires, some_expressions, timer_fires
from tests.environments import ROOT

pytestmark = pytest.mark.usefixtures("systemd_analyze")

PAGE = ROOT / "docs/reference/configuration.md"
BERLIN = "Europe/Berlin"
MARCH = datetime(2027, 3, 28, 1, tzinfo=UTC)
OCTOBER = datetime(2027, 10, 31, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
EXPRESSIONS = 100
FIRES = 200


def changed(zone: str, change: datetime) -> tuple[datetime, datetime]:
    """Return from when to when a change matters: to both passes of an hour, or to what cron makes up for."""
    before, after = ((change + each).astimezone(ZoneInfo(zone)).utcoffset() for each in (-MINUTE, MINUTE))
    assert before is not None
    assert after is not None
    return (change, change + MINUTE) if after > before else (change - HOUR, change + HOUR)


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        (BERLIN, MARCH),
        (BERLIN, OCTOBER),
        ("America/Santiago", datetime(2027, 4, 4, 3, tzinfo=UTC)),
        ("America/Santiago", datetime(2027, 9, 5, 4, tzinfo=UTC)),  # skips the first hour of the day
    ],
)
def test_outside_the_changed_hours_expressions_fire_exactly_when_cron_does(
    zone: str, change: datetime
) -> None:
    texts, base = some_expressions(EXPRESSIONS), change - 1.5 * HOUR
    first, end = changed(zone, change)
    for text, timer in zip(texts, timer_fires(texts, zone, base, FIRES), strict=True):
        cron = cron_fires(text, zone, base, FIRES)
        last = min(timer[-1], cron[-1], change + timedelta(days=100))  # before the next change
        kept = [[at for at in fires if at <= last and not first <= at < end] for fires in (timer, cron)]
        assert kept[0] == kept[1], text


def of_the_day(fires: Sequence[datetime], change: datetime) -> str:
    """Return what fires within an hour of a change, by the clock and its distance from UTC."""
    near = [at.astimezone(ZoneInfo(BERLIN)) for at in fires if change - HOUR <= at <= change + HOUR]
    return " ".join(f"{at:%H:%M%z}".removesuffix("00") for at in near)


ONCE, TWICE = "02:00+02 02:30+02 03:00+01", "02:00+02 02:30+02 02:00+01 02:30+01 03:00+01"
EACH = "01:00+01 01:30+01 03:00+02 03:30+02 04:00+02"


@pytest.mark.parametrize(
    ("text", "change", "cron", "timer", "told"),
    [
        ("30 2 * * *", MARCH, "03:00+02", "", ("at 03:00", "not on that day")),
        ("30 2 * * *", OCTOBER, "02:30+02", "02:30+02", ("once, the first time", "once, the first time")),
        (
            "15 1-5 * * *",
            MARCH,
            "01:15+01 03:00+02 03:15+02",
            "01:15+01 03:15+02",
            ("also at 03:00", "not for 02:15"),
        ),
        ("15 1-5 * * *", OCTOBER, "02:15+02", "02:15+02", ("once an hour", "once an hour")),
        ("*/30 2 * * *", MARCH, "", "", ("not on that day", "not on that day")),
        (
            "*/30 2 * * *",
            OCTOBER,
            TWICE.removesuffix(" 03:00+01"),
            ONCE.removesuffix(" 03:00+01"),
            ("in both hours", "in the first of them"),
        ),
        (
            "0 * * * *",
            MARCH,
            "01:00+01 03:00+02 04:00+02",
            "01:00+01 03:00+02 04:00+02",
            ("each hour that there is", "each hour that there is"),
        ),
        (
            "0 * * * *",
            OCTOBER,
            "02:00+02 02:00+01 03:00+01",
            "02:00+02 03:00+01",
            ("in both hours", "in the first of them"),
        ),
        ("*/30 * * * *", MARCH, EACH, EACH, ("each hour that there is", "each hour that there is")),
        ("*/30 * * * *", OCTOBER, TWICE, ONCE, ("in both hours", "in the first of them")),
    ],
)
def test_the_differences_in_the_changed_hours_are_those_of_the_page(
    text: str, change: datetime, cron: str, timer: str, told: tuple[str, str]
) -> None:
    base = change - 3 * HOUR
    assert of_the_day(cron_fires(text, BERLIN, base, FIRES), change) == cron
    assert of_the_day(timer_fires([text], BERLIN, base, FIRES)[0], change) == timer
    (row,) = [
        line for line in PAGE.read_text().splitlines() if line.startswith("| `") and f"`{text}`" in line
    ]
    cells = tuple(cell.strip() for cell in row.strip("|").split("|")[1:])
    assert (cells[:2] if change is MARCH else cells[2:]) == told


@pytest.mark.parametrize("text", ["30 2 * * *", "30 3 * * *"])
def test_a_day_is_passed_over_only_if_its_hour_is_skipped(text: str) -> None:
    (fires,) = timer_fires([text], BERLIN, MARCH - 24 * HOUR, 2)
    days = [at.astimezone(ZoneInfo(BERLIN)).date() for at in fires]
    assert (MARCH.date() in days) == (text != "30 2 * * *")

"""Which windows of `freeze:` are present and next, whatever a clock does, and until when a hold lasts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fraisier_core.config import Config, parse_config
from fraisier_core.errors import ConfigurationError, InvalidRequestError
from fraisier_core.plugins import Plugins
from fraisier_core.requests.freezing import Span, spans, timetable
from fraisier_core.requests.holding import until
from fraisier_core.settings import FreezeSection
from hypothesis import given, settings
from hypothesis import strategies as st

NIGHT = FreezeSection(cron="0 22 * * *", duration="8h", time_zone="Europe/Berlin", reason="nobody is awake")
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
CONFIGURATION = """\
{freeze}
fraises:
  web:
    type: not-installed
    repository: https://example.com/acme/web.git
    freeze: {{cron: "0 12 * * *", duration: 1h, time_zone: UTC, reason: lunch}}
    environments:
      production: {{freeze: [{{cron: "@daily", duration: 90m, time_zone: Asia/Tokyo, reason: reports}}]}}
      staging: {{}}
"""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def configuration(freeze: str = "") -> Config:
    return parse_config(
        CONFIGURATION.format(freeze=freeze), Path("/nowhere/fraises.yaml"), Plugins.installed()
    )


@pytest.mark.parametrize(
    ("now", "present", "following"),
    [
        ("2026-06-15 12:00", None, "2026-06-15 20:00"),
        ("2026-06-15 19:59:59", None, "2026-06-15 20:00"),
        ("2026-06-15 20:00", ("2026-06-15 20:00", "2026-06-16 04:00"), "2026-06-16 20:00"),
        ("2026-06-16 04:00", None, "2026-06-16 20:00"),
        # The clock goes forward on 29 March at 1:00 UTC, and back on 25 October: eight hours stay eight.
        ("2026-03-29 00:30", ("2026-03-28 21:00", "2026-03-29 05:00"), "2026-03-29 20:00"),
        ("2026-10-25 00:30", ("2026-10-24 20:00", "2026-10-25 04:00"), "2026-10-25 21:00"),
    ],
)
def test_a_window_lasts_as_long_whatever_the_clock_of_its_zone_does(
    now: str, present: tuple[str, str] | None, following: str
) -> None:
    *found, upcoming = spans(NIGHT, utc(now))
    assert found == ([Span(*map(utc, present))] if present else [])
    assert upcoming.begins == utc(following)


def test_a_window_begins_though_the_clock_skips_its_hour() -> None:
    rule = NIGHT.model_copy(update={"cron": "30 2 * * *"})
    assert spans(rule, utc("2026-03-29 00:00"))[0].begins == utc("2026-03-29 01:30")


def test_a_window_holds_in_both_hours_that_a_clock_repeats() -> None:
    rule = NIGHT.model_copy(update={"cron": "45 2 * * *", "duration": 7200.0})
    for now in ("2026-10-25 00:50", "2026-10-25 01:30", "2026-10-25 02:44"):
        assert spans(rule, utc(now))[0] == Span(utc("2026-10-25 00:45"), utc("2026-10-25 02:45"))


def test_windows_that_overlap_are_one() -> None:
    rule = NIGHT.model_copy(update={"cron": "0 8-10 * * *", "duration": 3600.0, "time_zone": "UTC"})
    assert spans(rule, utc("2026-06-15 08:30"))[0] == Span(utc("2026-06-15 08:00"), utc("2026-06-15 11:00"))
    always = rule.model_copy(update={"cron": "* * * * *", "duration": 120.0})
    present, following = spans(always, NOON)
    assert present.ends > following.begins > NOON


def test_the_next_window_ends_as_it_will_once_it_has_begun() -> None:
    rule = NIGHT.model_copy(update={"cron": "0 22,23 * * 5", "duration": 7200.0, "time_zone": "UTC"})
    whole = Span(utc("2026-06-19 22:00"), utc("2026-06-20 01:00"))
    assert spans(rule, utc("2026-06-19 21:00")) == [whole]
    assert spans(rule, utc("2026-06-19 22:00:05"))[0] == whole


@settings(max_examples=150, deadline=None)
@given(
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=4),
    minute=st.sampled_from([0, 30]),
    duration=st.integers(1, 40),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"]),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
def test_what_is_frozen_is_what_began_within_the_duration(
    hours: set[int], minute: int, duration: int, zone: str, now: datetime
) -> None:
    cron = f"{minute} {','.join(map(str, sorted(hours)))} * * *"
    rule = FreezeSection(cron=cron, duration=f"{duration}h", time_zone=zone, reason="any")
    length, days = timedelta(hours=duration), [now.date() + timedelta(days=each) for each in range(-4, 5)]
    begins = sorted(
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for day in days
        for hour in hours
    )
    found = spans(rule, now)
    is_frozen = any(at <= now < at + length for at in begins)
    assert (found[0].begins <= now < found[0].ends) is is_frozen
    assert found[-1].begins > now
    between = [at for at in begins if now < at < found[-1].begins]
    assert all(at <= found[0].ends for at in between), "none is forgotten before the next"


def test_rules_of_all_levels_hold_for_an_environment() -> None:
    found = timetable(configuration('freeze: {cron: "0 0 * * 6", duration: 2d, reason: weekends}'), NOON)
    assert {(each.environment, each.reason) for each in found.windows} == {
        ("production", "weekends"),
        ("production", "lunch"),
        ("production", "reports"),
        ("staging", "weekends"),
        ("staging", "lunch"),
    }
    (lunch,) = {
        each.ends_at for each in found.windows if each.reason == "lunch" and "06-15" in each.begins_at
    }
    assert lunch == "2026-06-15T13:00:00.000000Z"


def test_what_is_never_deployed_is_never_frozen() -> None:
    config = configuration()
    web = config.fraises["web"]
    backed_up = {name: replace(each, kinds=frozenset({"backup"})) for name, each in web.environments.items()}
    config = replace(config, fraises={"web": replace(web, environments=backed_up)})
    assert timetable(config, NOON).windows == ()


def test_a_timetable_is_of_no_use_once_the_next_window_begins_or_the_clock_is_set_back() -> None:
    found = timetable(configuration(), NOON)
    assert found.until == utc("2026-06-15 15:00")
    assert found.holds_at(utc("2026-06-15 14:59"))
    assert not found.holds_at(utc("2026-06-15 15:00"))
    assert not found.holds_at(utc("2026-06-15 11:59"))


@pytest.mark.parametrize(
    ("freeze", "problem"),
    [
        ('{cron: "0 22 * *", duration: 8h, reason: x}', "freeze.0.cron: takes five fields"),
        ('{cron: "@reboot", duration: 8h, reason: x}', "takes a time, not the start of the host"),
        ('{cron: "@daily", duration: 30, reason: x}', "freeze.0.duration: should be at least 60"),
        ('{cron: "@daily", duration: 32d, reason: x}', "less than or equal to 2678400"),
        ('{cron: "@daily", duration: 1h}', "freeze.0.reason: required key is missing"),
        ('{cron: "@daily", duration: 1h, reason: "a\\nb"}', "must be one line that says something"),
        ('{cron: "@daily", duration: 1h, reason: x, time_zone: Berlin}', "is not a time zone"),
        ('{cron: "@daily", duration: 1h, reason: "${NOT_SET}"}', "NOT_SET"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(freeze: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        configuration(f"freeze: [{freeze}]")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("2h", "2026-06-15T14:00:00.000000Z"),
        ("1.5 h", "2026-06-15T13:30:00.000000Z"),
        ("2026-06-16", datetime(2026, 6, 16)),
        ("2026-06-15 20:00", datetime(2026, 6, 15, 20)),
        ("2026-06-15T20:00+02:00", "2026-06-15T18:00:00.000000Z"),
        ("2026-06-15T20:00:00Z", "2026-06-15T20:00:00.000000Z"),
    ],
)
def test_a_hold_ends_at_a_time_or_after_one(text: str, ends: str | datetime) -> None:
    if isinstance(ends, datetime):  # a time of this host
        ends = ends.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert until(text, NOON) == ends


@pytest.mark.parametrize(
    "text", ["2026-06-15T11:59Z", "0s", "2020", "90", "tomorrow", "", "-2h", "9e9d", "9" * 12 + "d"]
)
def test_what_is_no_time_to_come_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"is in the past|is no time"):
        until(text, NOON)

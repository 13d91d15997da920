"""Cron expressions as in Debian's crontab(5), and the calendar expressions of systemd that say the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise

REBOOT = "@reboot"
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_TERM = re.compile(r"(?:(?P<all>\*)|(?P<first>[0-9a-z]+)(?:-(?P<last>[0-9a-z]+))?)(?:/(?P<step>[0-9]+))?")
_MOST_DAYS = 8 * 366  # from one 29 February to the next, past the year 2100
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five: its name, the values from `first` to `last`, and names for them."""

    name: str
    first: int
    last: int
    names: Sequence[str] = ()

    def values(self, text: str) -> frozenset[int]:
        """Return the values that a text names. Raises `ValueError`."""
        return frozenset(value for term in text.lower().split(",") for value in self._term(term))

    def _term(self, term: str) -> range:
        match = _TERM.fullmatch(term)
        if match is None:
            raise ValueError(f"{self.name}: {term!r} is no number, range or step, such as 5, 1-5 or */10")
        step = int(match["step"] or 1)
        first = self.first if match["all"] else self._number(match["first"])
        open_ended = match["all"] or (match["step"] and match["last"] is None)
        last = self.last if open_ended else self._number(match["last"] or match["first"])
        if step == 0 or last < first:
            raise ValueError(f"{self.name}: {term!r} names nothing")
        return range(first, last + 1, step)

    def _number(self, text: str) -> int:
        if text in self.names:
            return self.first + self.names.index(text)
        if not text.isdecimal() or not self.first <= int(text) <= self.last:
            names = f", or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ValueError(f"{self.name}: {text!r} is not {self.first} to {self.last}{names}")
        return int(text)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, [name.lower() for name in _DAYS]),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression that was read; weekdays are 0 to 6 from Sunday. `either_day`: it fires on the days of
    the month and on those of the week; else on days that are both.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def on_calendar(self) -> tuple[str, ...]:
        """Return calendar expressions that fire when it does, without a time zone; see systemd.time(7)."""
        month = _written(self.months, _FIELDS[3])
        days = f"*-{month}-{_written(self.days, _FIELDS[2])}"
        time = f"{_written(self.hours, _FIELDS[1])}:{_written(self.minutes, _FIELDS[0])}:00"
        order = sorted(self.weekdays, key=_from_monday)
        weekdays = "" if len(order) == len(_DAYS) else ",".join(_DAYS[each] for each in order)
        if self.either_day:
            return (f"{days} {time}", f"{weekdays} *-{month}-* {time}".lstrip())
        return (f"{weekdays} {days} {time}".lstrip(),)

    def last_before(self, limit: datetime, since: datetime) -> datetime | None:
        """Return when it fired last between two times of one time zone, as systemd does, None if it did not.

        Args:
            limit: the latest time that counts.
            since: the latest time that does not.
        """
        day = limit.date()
        while day >= since.date():
            for at in self._times(day, limit.tzinfo) if self.fires_on(day) else ():
                if since < at <= limit:
                    return at
            day -= timedelta(days=1)
        return None

    def first_after(self, at: datetime) -> datetime | None:
        """Return when it fires first after a time, in the time zone of that; None if not within 8 years."""
        for number in range(_MOST_DAYS):
            day = at.date() + timedelta(days=number)
            times = self._times(day, at.tzinfo) if self.fires_on(day) else ()
            if found := [each for each in times if each > at]:
                return found[-1]
        return None

    def instants(self, day: date, zone: tzinfo) -> list[datetime]:
        """Return when it fires on a day of a zone, in UTC and in order; for a time that the clock skips, when
        it would have come.
        """
        if not self.fires_on(day):
            return []
        times = (time(hour, minute, tzinfo=zone) for hour in self.hours for minute in self.minutes)
        return sorted(datetime.combine(day, each).astimezone(UTC) for each in times)

    def skipped_day(self, zone: tzinfo, first: date, days: int) -> date | None:
        """Return the first of some days on which it does not fire, because a zone skips all its times."""
        for number in range(days):
            day = first + timedelta(days=number)
            if _is_shorter(day, zone) and self.fires_on(day) and not any(self._times(day, zone)):
                return day
        return None

    def _times(self, day: date, zone: tzinfo | None) -> Iterator[datetime]:
        """Yield the times of a day, the last first, without those that the clock skips."""
        for hour in sorted(self.hours, reverse=True):
            for minute in sorted(self.minutes, reverse=True):
                at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                if at.astimezone(UTC).astimezone(zone).replace(fold=0) == at:
                    yield at

    def fires_on(self, day: date) -> bool:
        """Whether it fires on a day."""
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (of_month or of_week if self.either_day else of_month and of_week)


def read_cron(text: str) -> Cron:
    """Return what a cron expression says, other than `@reboot`. Raises `ValueError` with what is wrong."""
    texts = _SHORT.get(text.strip().lower(), text).split()
    if text.strip().startswith("@") and len(texts) == 1:
        raise ValueError(f"{text!r} is none of {', '.join([*_SHORT, REBOOT])}")
    if len(texts) != len(_FIELDS):
        raise ValueError("takes five fields: minute, hour, day of the month, month, day of the week")
    minutes, hours, days, months, weekdays = (
        field.values(each) for field, each in zip(_FIELDS, texts, strict=True)
    )
    starred = texts[2].startswith("*") or texts[4].startswith("*")
    read = Cron(minutes, hours, days, months, frozenset(each % 7 for each in weekdays), not starred)
    if starred and not any(min(days) <= _LONGEST_MONTHS[month - 1] for month in months):
        raise ValueError("never comes: none of its months has such a day")
    return read


def is_reboot(text: str) -> bool:
    """Whether a cron expression means the start of the host."""
    return text.strip().lower() == REBOOT


def _is_shorter(day: date, zone: tzinfo) -> bool:
    begin, end = (datetime(at.year, at.month, at.day, tzinfo=zone) for at in (day, day + timedelta(days=1)))
    return end.astimezone(UTC) - begin.astimezone(UTC) < timedelta(days=1)


def _from_monday(weekday: int) -> int:
    return (weekday - 1) % 7


def _written(values: Collection[int], field: _Field) -> str:
    """Return values in the words of systemd: all, a range, which may have steps, or a list.

    Nothing is open-ended: systemd 252 passes over midnight after `*:00/16`, but not after `*:00..48/16`.
    """
    order = sorted(values)
    if len(order) == field.last - field.first + 1:
        return "*"
    steps = {after - before for before, after in pairwise(order)}
    if len(order) > 2 and len(steps) == 1:
        step = steps.pop()
        return f"{order[0]:02}..{order[-1]:02}{f'/{step}' if step > 1 else ''}"
    return ",".join(f"{each:02}" for each in order)

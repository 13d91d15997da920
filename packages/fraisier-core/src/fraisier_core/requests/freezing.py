"""The windows of `freeze:`: which environment is frozen now, and which is next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice
from zoneinfo import ZoneInfo

from fraisier_core.config import Config
from fraisier_core.settings import FreezeSection
from fraisier_core.store.holds import Window
from fraisier_core.store.protocol import Store
from fraisier_core.system.host import host_zone, utc_text
from fraisier_core.text.cron import Cron, read_cron

_MOST_DAYS = 8 * 366
_MOST_JOINED = 1000
_DAY = timedelta(days=1)
_RECENT = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when something is frozen; what overlaps or follows at once is joined."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Timetable:
    """What is frozen, as it was found at a time.

    Args:
        windows: the present and the next one of each rule, in each environment.
        since: when it was found.
        until: when the first of the next ones begins, and others are next; None if there is none.
    """

    windows: tuple[Window, ...]
    since: datetime
    until: datetime | None

    def holds_at(self, now: datetime) -> bool:
        """Whether it still says which windows are present and next, whatever the clock did meanwhile."""
        return not self.windows or (self.since <= now and (self.until is None or now < self.until))

    def is_recent(self, now: datetime) -> bool:
        """Whether others have hardly had the time to record windows of a configuration that is older."""
        return self.since <= now < self.since + _RECENT

    def again(self, store: Store, now: datetime) -> Timetable:
        """Have the store know it again, and return it as of now. Raises `StoreError`."""
        store.freeze(self.windows, decides=True)
        return replace(self, since=now)


def freeze(store: Store, config: Config, now: datetime | None = None, *, decides: bool) -> Timetable:
    """Have the store know what a configuration freezes, and return that; only who executes what is requested
    `decides` it, by the time zone of its host. Raises `StoreError`.
    """
    found = timetable(config, now or datetime.now(UTC))
    store.freeze(found.windows, decides=decides)
    return found


def timetable(config: Config, now: datetime) -> Timetable:
    """Return what a configuration freezes at a time and next."""
    environments = [each for each in config.environments if each.is_deployed]
    zone = host_zone() if any(each.freezes for each in environments) else "UTC"
    rules = {rule for each in environments for rule in each.freezes}
    found = {rule: spans(rule, now, zone) for rule in rules}
    windows = [
        Window(each.fraise, each.name, _schedule(rule), rule.reason, *_texts(span))
        for each in environments
        for rule in each.freezes
        for span in found[rule]
    ]
    upcoming = [span.begins for those in found.values() for span in those if span.begins > now]
    return Timetable(tuple(windows), now, min(upcoming, default=None))


def spans(rule: FreezeSection, now: datetime, host: str = "UTC") -> list[Span]:
    """Return the present span of a rule, if there is one, and the next.

    Args:
        rule: says when each begins, and how long it lasts: so much time passes, whatever the clock does.
        now: the time.
        host: the time zone of the host, in which the rule is meant if it names none.
    """
    cron, zone = read_cron(rule.cron), ZoneInfo(rule.time_zone or host)
    length = timedelta(seconds=rule.duration)
    upcoming = _after(cron, zone, now)
    present = _last(cron, zone, now, now - length)
    if present is not None:
        joined, upcoming = _joined(present, upcoming, length)
    found = [joined] if present is not None else []
    following = next(upcoming, None)
    return [*found, *([_joined(following, upcoming, length)[0]] if following else [])]


def _joined(
    begins: datetime, upcoming: Iterator[datetime], length: timedelta
) -> tuple[Span, Iterator[datetime]]:
    """Return a span with those that begin before it ends, at most so many, and the beginnings after that."""
    ends = begins + length
    for at in islice(upcoming, _MOST_JOINED):
        if at > ends:
            return Span(begins, ends), chain([at], upcoming)
        ends = at + length
    return Span(begins, ends), upcoming


def _last(cron: Cron, zone: ZoneInfo, now: datetime, since: datetime) -> datetime | None:
    """Return when it fired last until a time, and after another."""
    day, first = _day(now, zone) + _DAY, _day(since, zone) - _DAY
    while day >= first:
        found = [at for at in cron.instants(day, zone) if since < at <= now]
        if found:
            return found[-1]
        day -= _DAY
    return None


def _after(cron: Cron, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """Yield when it fires after a time."""
    day = _day(now, zone) - _DAY
    for number in range(_MOST_DAYS):
        yield from (at for at in cron.instants(day + number * _DAY, zone) if at > now)


def _day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


def _schedule(rule: FreezeSection) -> str:
    """Return what tells a rule from others; the zone of a host is no part of it."""
    return f"{rule.cron} for {rule.duration:g} s" + (f" in {rule.time_zone}" if rule.time_zone else "")


def _texts(span: Span) -> tuple[str, str]:
    return utc_text(span.begins), utc_text(span.ends)

"""Which backups a policy keeps: those that `restic forget` would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from fraisier_deployers.backup.backup_settings import KeepSection

_BUCKETS: dict[str, Callable[[datetime, int], tuple[int, ...]]] = {
    "last": lambda _, number: (number,),
    "daily": lambda time, _: (time.year, time.month, time.day),
    "weekly": lambda time, _: time.isocalendar()[:2],
    "monthly": lambda time, _: (time.year, time.month),
    "yearly": lambda time, _: (time.year,),
}


def kept(times: Sequence[datetime], keep: KeepSection) -> list[tuple[str, ...]]:
    """Return for each time the names of the rules that keep the backup made then; none if it may go.

    The backups are looked at from the newest to the oldest. A rule keeps one if its day (week, month, year)
    differs from that of the one that the rule kept before, until it has kept as many as it may. If it may
    still keep one when it comes to the oldest, it keeps that too, so that what reaches back furthest is not
    lost while a policy begins; restic does so from 0.16.0 on.

    Args:
        times: aware ones, in any order; a day is the one that the time itself names, in its own zone.
        keep: the policy.
    """
    newest_first = sorted(range(len(times)), key=lambda index: times[index], reverse=True)
    rules: list[tuple[str, ...]] = [()] * len(times)
    for name in _BUCKETS:
        for index in _kept_by(name, getattr(keep, name), [(index, times[index]) for index in newest_first]):
            rules[index] += (name,)
    return rules


def _kept_by(name: str, count: int, newest_first: Sequence[tuple[int, datetime]]) -> list[int]:
    before: tuple[int, ...] | None = None
    found: list[int] = []
    for number, (index, time) in enumerate(newest_first, 1):
        bucket = _BUCKETS[name](time, number)
        if len(found) < count and (bucket != before or number == len(newest_first)):
            found.append(index)
            before = bucket
    return found

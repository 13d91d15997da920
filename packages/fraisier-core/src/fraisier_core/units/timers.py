"""What there is to say of the schedules of jobs: when each requests a run next, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from fraisier_core.system.host import utc_text
from fraisier_core.units.installed_units import TIMER_STATE, UNITS, TimerState, not_at_work
from fraisier_core.units.job import JobTimer
from fraisier_core.units.overdue import first_due_by_systemd, last_due, missed, next_due
from fraisier_core.units.starting import INSTALL
from fraisier_core.units.systemctl import Properties, shown

MOST_ASKED = 20
"""Of how many timers systemd is asked when they should have fired: it takes a process for each."""
Key = tuple[str, str, str]
"""Of what a timer is: a fraise, its environment and the kind that is requested."""
_LAST, _NEXT, _STARTED = "LastTriggerUSec", "NextElapseUSecRealtime", "ActiveEnterTimestamp"
_PROPERTIES = ("LoadState", *TIMER_STATE, _LAST, _NEXT, _STARTED)
_TIME = "%a %Y-%m-%d %H:%M:%S UTC"


class TimerFacts(NamedTuple):
    """When a job is requested next, in UTC, None if nobody knows; what is wrong."""

    next: str | None
    problem: str | None


class _Timer(NamedTuple):
    """A timer as systemd has it; `since` is when it fired last, or was installed or enabled."""

    of: JobTimer
    told: Properties
    since: datetime | None

    def time(self, name: str) -> datetime | None:
        text = self.told[name][0]
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC) if text else None

    @property
    def may_have_missed(self) -> bool:
        """Whether only systemd knows if it fired whenever it should: it did not go on all the time."""
        started = self.time(_STARTED)
        restarted = self.since is not None and started is not None and self.since < started
        return self.of.schedule.cron is None and restarted


def timer_facts(
    timers: Sequence[JobTimer], fired: Mapping[Key, str], now: datetime | None = None
) -> dict[Key, TimerFacts]:
    """Return what there is to say of the timers of jobs.

    Args:
        timers: of the jobs.
        fired: when a timer last requested something, as the store has it.
        now: the time.

    Raises `StepFailedError` if systemd does not answer.
    """
    at = now or datetime.now(UTC)
    found = _timers(timers, fired)
    doubtful = list(islice((each for each in found if each.may_have_missed), MOST_ASKED))
    asked = {
        each.of.key: first_due_by_systemd(each.of.schedule, each.since) for each in doubtful if each.since
    }
    return {each.of.key: _facts(each, asked.get(each.of.key), at) for each in found}


def facts_without_systemd(
    timers: Sequence[JobTimer], since: Mapping[Key, str], now: datetime | None = None
) -> dict[Key, TimerFacts]:
    """Return what there is to say of jobs that cron requests; nothing of what only systemd could request.

    Args:
        timers: of the jobs.
        since: when it was requested last, else when the job was deployed.
        now: the time.
    """
    at, found = now or datetime.now(UTC), {}
    for each in timers:
        if each.schedule.cron is not None:
            upcoming, known = next_due(each.schedule, at), _parsed(since.get(each.key))
            due = missed(each.schedule, known, [last_due(each.schedule, known, at)], at) if known else None
            look = "the crontab, as `fraisier config install` tells"
            found[each.key] = TimerFacts(_text(upcoming), _in_words(each, due, look) if due else None)
    return found


def installed_since(timer: JobTimer) -> datetime | None:
    """Return when a timer was installed or enabled, None if it is not there."""
    link = UNITS / "timers.target.wants" / timer.name  # made anew when it is enabled
    return max(filter(None, (_changed(UNITS / timer.name), _changed(link))), default=None)


def _timers(timers: Sequence[JobTimer], fired: Mapping[Key, str]) -> list[_Timer]:
    told = shown([each.name for each in timers], _PROPERTIES)
    found = []
    for each in timers:
        times = _parsed(fired.get(each.key)), installed_since(each)
        found.append(_Timer(each, told[each.name], max(filter(None, times), default=None)))
    return found


def _facts(timer: _Timer, asked: datetime | None, now: datetime) -> TimerFacts:
    upcoming = timer.time(_NEXT)
    problem = _not_at_work(timer) or _overdue(timer, asked, now)
    return TimerFacts(_text(upcoming), problem)


def _not_at_work(timer: _Timer) -> str | None:
    is_there = timer.told["LoadState"][0] == "loaded"
    found = (
        not_at_work(timer.of, TimerState.parsed(timer.told))
        if is_there
        else f"{timer.of.name} is not installed"
    )
    return f"{found}: run `{INSTALL}`" if found else None


def _overdue(timer: _Timer, asked: datetime | None, now: datetime) -> str | None:
    """Return what to say if a run was due that no timer requested."""
    if timer.since is None:
        return None
    of = timer.of
    due = [timer.time(_LAST), timer.time(_NEXT), last_due(of.schedule, timer.since, now), asked]
    found = missed(of.schedule, timer.since, due, now)
    return _in_words(of, found, f"`journalctl -u {of.name} -u {of.requester}`") if found else None


def _in_words(timer: JobTimer, missed_at: datetime, look: str) -> str:
    return f"a {timer.noun} was due at {missed_at:%Y-%m-%d %H:%M} UTC, and none was requested: see {look}"


def _changed(path: Path) -> datetime | None:
    with suppress(OSError):
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    return None


def _text(at: datetime | None) -> str | None:
    return utc_text(at) if at else None


def _parsed(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

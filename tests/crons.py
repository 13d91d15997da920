"""Cron expressions by chance, and when systemd and cron fire for an expression."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim
from fraisier_core.text.cron import read_cron

LAST_YEAR = 2199  # that systemd knows
_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = {3: ("jan", "feb", "sep", "dec"), 4: ("sun", "mon", "thu", "sat")}
_TIME = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$")


def some_expressions(count: int) -> list[str]:
    """Return expressions that fire, or more of them if `FRAISIER_CRON_EXPRESSIONS` says so."""
    count = max(count, int(os.environ.get("FRAISIER_CRON_EXPRESSIONS", "0")))
    return list(islice(_expressions(random.Random(12)), count))


def timer_fires(texts: Sequence[str], zone: str, base: datetime, count: int) -> list[list[datetime]]:
    """Return when systemd fires for each of some cron expressions after a time, `count` times at most.

    The zone is the host's: for any other, `systemd-analyze` starts a process for each time.
    """
    lines = [read_cron(text).on_calendar() for text in texts]
    argv = [
        "systemd-analyze",
        "calendar",
        f"--iterations={count}",
        f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC",
    ]
    env = {"PATH": "/usr/bin:/bin", "TZ": zone, "LC_ALL": "C"}
    argv += [line for each in lines for line in each]
    told = iter(_times(subprocess.run(argv, check=True, capture_output=True, text=True, env=env).stdout))
    return [sorted({at for _ in each for at in next(told)})[:count] for each in lines]


def _times(printed: str) -> Iterator[list[datetime]]:
    for part in re.split(r"^Normalized form:|^ *Normalized form:", printed, flags=re.MULTILINE)[1:]:
        found = (_TIME.search(line) for line in part.splitlines())
        yield [datetime.fromisoformat(match[1]).replace(tzinfo=UTC) for match in found if match]


def cron_fires(text: str, zone: str, base: datetime, count: int) -> list[datetime]:
    """Return when cron fires for an expression after a time, `count` times at most."""
    fires = (at.astimezone(UTC) for at in islice(CronSim(text, base.astimezone(ZoneInfo(zone))), count))
    return [at for at in fires if at.year <= LAST_YEAR]


def _expressions(draw: random.Random) -> Iterator[str]:
    while True:
        text = " ".join(_field(draw, field) for field in range(5))
        try:
            read_cron(text)
        except ValueError:
            continue  # such as 30 February
        yield text


def _field(draw: random.Random, field: int) -> str:
    if draw.random() < 0.4:
        return "*"
    return ",".join(_term(draw, field) for _ in range(draw.choice((1, 1, 1, 2, 3))))


def _term(draw: random.Random, field: int) -> str:
    first, last = _LIMITS[field]
    low = draw.randint(first, last)
    kind = draw.randrange(7)
    if kind == 0:
        return f"*/{draw.randint(1, max(2, (last - first) // 2))}"
    if kind == 1:
        return f"{low}-{draw.randint(low, last)}"
    if kind == 2:
        # Not from a number to itself in steps, which `cronsim` alone takes to be open-ended.
        return f"{low}-{draw.randint(low + 1, last)}/{draw.randint(1, 9)}" if low < last else str(low)
    if kind == 3 and field in _NAMES:
        return draw.choice(_NAMES[field])
    if kind == 4:
        return f"{low}/{draw.randint(1, 9)}"
    return str(low)

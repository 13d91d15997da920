"""Texts of `fraises.yaml` that say when something comes."""

from __future__ import annotations

import re
import zoneinfo
from functools import cache
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from fraisier_core.text.cron import is_reboot, read_cron

_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?([smhd]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_time_zones = cache(zoneinfo.available_timezones)  # to list them takes 10 ms


def duration_seconds(text: str) -> float:
    """Return the seconds of a duration as people write it, such as `90` or `10m`. Raises `ValueError`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("should be a duration, such as 90 or 90s, 10m, 1h, 1d")
    return float(match[1]) * _UNITS[match[2]]


def _duration(written: object) -> object:
    return duration_seconds(str(written))


def _time_zone(name: str) -> str:
    if name not in _time_zones():
        raise ValueError("is not a time zone, such as Europe/Berlin or UTC")
    return name


def _cron(text: str) -> str:
    if not is_reboot(text):
        read_cron(text)
    return text


def _by_the_clock(text: str) -> str:
    if is_reboot(text):
        raise ValueError("takes a time, not the start of the host")
    read_cron(text)
    return text


Duration = Annotated[float, BeforeValidator(_duration, json_schema_input_type=float | str)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
CronText = Annotated[str, AfterValidator(_cron)]
ClockText = Annotated[str, AfterValidator(_by_the_clock)]
"""A cron expression that says at which times of day."""

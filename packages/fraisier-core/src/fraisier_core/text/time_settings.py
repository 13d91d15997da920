"""Texts of `fraises.yaml` that say when something comes."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Annotated

from pydantic import AfterValidator

from fraisier_core.text.cron import is_reboot, read_cron

_time_zones = cache(zoneinfo.available_timezones)  # to list them takes 10 ms


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


TimeZone = Annotated[str, AfterValidator(_time_zone)]
CronText = Annotated[str, AfterValidator(_cron)]
ClockText = Annotated[str, AfterValidator(_by_the_clock)]
"""A cron expression that says at which times of day."""

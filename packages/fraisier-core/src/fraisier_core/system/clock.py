"""The two clocks: UTC for what people read, seconds of the boot for how long things take."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def utc_now() -> str:
    """Return the current time in UTC with six digits, such as `2026-01-31T12:00:00.000000Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def boot_seconds() -> float:
    """Return seconds since the machine booted, suspended ones included; no change of the clock matters."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)

"""Waiting for what another process does, if it sends no event that could be waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
TICK_SECONDS = 0.01


def wait_until(
    condition: Callable[[], T | None], explanation: Callable[[], str] = str, seconds: float = PATIENCE_SECONDS
) -> T:
    """Wait until a condition holds, and return what it returned; fail if it does not hold in time.

    Args:
        condition: called again and again, half of the time at most: what is waited for needs the machine too.
        explanation: what to say if the test fails.
        seconds: how long to wait at most.
    """
    deadline = time.monotonic() + seconds
    looks_at = time.monotonic()
    while not (found := condition()):
        looked_at = time.monotonic()
        assert looked_at < deadline, explanation()
        time.sleep(max(TICK_SECONDS, looked_at - looks_at))
        looks_at = time.monotonic()
    return found

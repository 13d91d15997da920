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
        condition: called again and again.
        explanation: what to say if the test fails.
        seconds: how long to wait at most.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, explanation()
        time.sleep(TICK_SECONDS)
    return found

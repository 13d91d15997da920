"""One seed for everything random in a run of the tests, printed at its head; `FRAISIER_SEED` sets it."""

from __future__ import annotations

import os
import random


def pytest_configure() -> None:
    """Choose the seed; the processes that run tests beside this one inherit it."""
    os.environ.setdefault("FRAISIER_SEED", str(random.randrange(10**9)))


def pytest_report_header() -> str:
    """Return the line to print."""
    return f"FRAISIER_SEED={os.environ['FRAISIER_SEED']}"

"""What cannot run is skipped on a developer's machine, and fails in CI."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
DOES_NOT_APPLY = "Skipped: not for this type: "
"""How the conformance of plugins says that one of them has nothing for a test."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a skipped test as failed if `CI` is set."""
    return _strict((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Report a skipped module as failed if `CI` is set."""
    return _strict((yield))


def _strict(report: Report) -> Report:
    if "CI" in os.environ and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if not str(reason).startswith(DOES_NOT_APPLY):
            report.outcome, report.longrepr = "failed", f"may not be skipped in CI: {reason}"
    return report

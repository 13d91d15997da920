from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fraisier.cli.times import ago, lasted, since

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "-"),
        (0.04, "40 ms"),
        (1.04, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3780, "1 h 3 min"),
    ],
)
def test_a_duration_is_said_in_two_units_at_most(seconds: float | None, said: str) -> None:
    assert lasted(seconds) == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (None, "-"),
        ("2026-01-31T12:00:05.000000Z", "just now"),
        ("2026-01-31T11:59:51.000000Z", "just now"),
        ("2026-01-31T11:59:18.000000Z", "42 s ago"),
        ("2026-01-31T11:00:01.000000Z", "59 min ago"),
        ("2026-01-30T12:00:01.000000Z", "23 h ago"),
        ("2026-01-01T12:00:00.000000Z", "30 d ago"),
    ],
)
def test_a_time_is_said_by_how_long_ago_it_was(at: str | None, said: str) -> None:
    assert ago(at, NOW) == said


def test_a_clock_that_was_set_back_makes_no_time_negative() -> None:
    assert since("2026-01-31T12:00:05.000000Z", NOW) == 0.0

"""When the unit of a run that waits is tried to start again, and when that is given up."""

from __future__ import annotations

import pytest
from fraisier_core.worker.unit_starter import GRACE_SECONDS, MOST_TRIES, PATIENCE, Tries


def tried(count: int, since: float = 100.0) -> Tries:
    """Return tries that were made as soon as each was due."""
    tries, now = Tries(since), since + GRACE_SECONDS
    for _ in range(count):
        tries.add(now)
        now = tries.due
    return tries


def test_who_requested_a_run_has_a_moment_to_start_its_unit() -> None:
    assert not Tries(100.0).are_due(100.0)
    assert Tries(100.0).are_due(100.0 + GRACE_SECONDS)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_after_each_try_the_next_is_later_but_never_by_more_than_half_a_minute(count: int) -> None:
    before, after = tried(count - 1), tried(count)
    made = before.due if count > 1 else 101.0
    assert made < after.due <= made + 30
    assert not after.are_due(after.due - 0.1)
    assert after.are_due(after.due)


def test_the_tries_of_one_run_do_not_hold_up_another() -> None:
    tried(9)
    assert Tries(100.0).are_due(101.0)


@pytest.mark.parametrize("count", [1, MOST_TRIES, 20])
def test_within_a_minute_nothing_is_given_up(count: int) -> None:
    tries = Tries(100.0)
    for number in range(count):
        tries.add(101.0 + number)
    assert not tries.are_enough(101.0 + PATIENCE - 1)


def test_after_a_minute_it_is_given_up_if_it_was_tried_often_enough() -> None:
    assert not tried(MOST_TRIES - 1).are_enough(1000.0)
    assert tried(MOST_TRIES).are_enough(1000.0)

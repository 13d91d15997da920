import time

from fraisier_core.worker.calm import CALM_SECONDS, Calm

from tests.waiting import wait_until


def test_it_is_calm_once_nothing_has_happened_for_a_moment() -> None:
    calm = Calm(3)
    assert calm.lasts(3)
    assert not calm.lasts(4)
    assert not calm.lasts(4)
    assert wait_until(lambda: calm.lasts(4))
    assert not calm.lasts(5)


def test_what_never_stops_is_waited_for_no_longer() -> None:
    calm, position = Calm(0, longest_stir_seconds=2 * CALM_SECONDS), iter(range(1, 10**9))
    begun = time.monotonic()
    wait_until(lambda: calm.lasts(next(position)))
    assert time.monotonic() - begun >= 2 * CALM_SECONDS
    assert wait_until(lambda: calm.lasts(0))

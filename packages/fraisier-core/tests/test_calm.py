import time

from fraisier_core.worker.calm import LONGEST_STIR_SECONDS, Calm

from tests.waiting import wait_until


def test_it_is_calm_once_nothing_has_happened_for_a_moment() -> None:
    calm = Calm(3)
    assert calm.lasts(3)
    assert not calm.lasts(4)
    assert not calm.lasts(4)
    assert wait_until(lambda: calm.lasts(4))
    assert not calm.lasts(5)


def test_what_never_stops_is_waited_for_no_longer() -> None:
    calm, position = Calm(0), iter(range(1, 10**9))
    begun = time.monotonic()
    wait_until(lambda: calm.lasts(next(position)))
    assert time.monotonic() - begun >= LONGEST_STIR_SECONDS
    assert wait_until(lambda: calm.lasts(0))

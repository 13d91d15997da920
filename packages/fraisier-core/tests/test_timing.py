"""What must hold between the times of leases, heartbeats and the waits around them."""

from fraisier_core.store.sqlite.connection import BUSY_SECONDS
from fraisier_core.system import timing
from fraisier_core.system.commands import Limits
from fraisier_core.system.processes import KILL_SECONDS

ENDING = timing.LAST_GRACE + KILL_SECONDS


def test_a_lease_outlives_two_renewals_that_fail() -> None:
    assert 3 * (timing.RENEWAL + timing.TICK + BUSY_SECONDS) < timing.LEASE


def test_a_worker_that_lives_counts_as_alive_though_one_heartbeat_fails() -> None:
    assert timing.POLL < timing.HEARTBEAT
    assert 2 * timing.HEARTBEAT + BUSY_SECONDS <= timing.HEARTBEAT_TIMEOUT


def test_the_lease_keeper_looks_around_between_two_renewals() -> None:
    assert timing.TICK < timing.RENEWAL


def test_a_command_is_ended_before_the_interrupted_process_is() -> None:
    assert Limits(wall=1, silence=1).grace < timing.INTERRUPTION


def test_an_interrupted_process_is_gone_before_its_lease_expires() -> None:
    assert timing.INTERRUPTION + ENDING + timing.RENEWAL + BUSY_SECONDS < timing.LEASE


def test_a_worker_that_stops_waits_until_interrupted_processes_are_gone() -> None:
    assert timing.INTERRUPTION + ENDING < timing.STOP


def test_a_command_looks_at_its_progress_more_often_than_for_what_is_to_be_recovered() -> None:
    assert timing.FOLLOW < timing.RECOVERY < timing.LEASE


def test_pauses_grow() -> None:
    assert timing.FIRST_PAUSE < timing.LONGEST_PAUSE

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from fraisier_core.store.records import Lease
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.worker.assignment import Assignment, receive, send
from fraisier_core.worker.launcher import Launcher, Warmth

from tests.waiting import wait_until

LEASE = Lease(7, "deployment", "local", 1)


def echo(channel: Connection) -> None:
    send(channel, ProcessIdentity.of(os.getpid()))
    if (assignment := receive(channel)) is not None:
        send(channel, [assignment.lease.token, assignment.recover, len(assignment.problem)])


def raises(channel: Connection) -> None:
    raise RuntimeError(channel)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


Launch = Callable[[Callable[[Connection], None]], Connection]


@pytest.fixture
def launch() -> Iterator[Launch]:
    """A function that launches a process; each kind of process has its own launcher."""
    with ExitStack() as ends:
        launchers: dict[Callable[[Connection], None], Launcher] = {}

        def channel(main: Callable[[Connection], None]) -> Connection:
            if main not in launchers:
                launchers[main] = ends.enter_context(closing(Launcher.forked({"test": main})))
            return ends.enter_context(closing(launchers[main].launch("test")))

        yield channel


def test_a_process_introduces_itself_and_takes_an_assignment_of_any_size(launch: Launch) -> None:
    channel = launch(echo)
    process = receive(channel)
    assert process is not None
    assert process.is_alive()
    assert send(channel, Assignment(LEASE, True, problem="x" * 5_000_000))
    assert receive(channel) == [7, True, 5_000_000]
    assert receive(channel) is None
    wait_until(lambda: not process.is_alive())


def test_the_owner_learns_how_a_launcher_ended() -> None:
    with closing(Launcher.forked({"test": echo})) as launcher:
        channel = launcher.launch("test")
        process = receive(channel)
        assert process is not None
        os.kill(parent_of(process.pid), signal.SIGKILL)
        assert select.select([launcher], [], [], 10)[0]
        assert launcher.wait() == -signal.SIGKILL
        with pytest.raises(BrokenPipeError):
            launcher.launch("test")
        channel.close()


def test_a_launcher_ends_with_its_owner() -> None:
    launcher = Launcher.started(Warmth("sqlite:////nowhere", "local", []), os.environ)
    launcher.close()
    assert launcher.wait() == 0


def test_each_process_is_one_of_its_own(launch: Launch) -> None:
    found = [receive(channel) for channel in [launch(echo) for _ in range(3)]]
    assert len({each.pid for each in found if each} - {os.getpid()}) == 3


def test_a_process_leads_a_group_of_its_own(launch: Launch) -> None:
    channel = launch(echo)
    process = receive(channel)
    assert process is not None
    assert os.getpgid(process.pid) == os.getsid(process.pid) == process.pid


def test_a_process_without_an_assignment_ends_with_its_owner(launch: Launch) -> None:
    channel = launch(echo)
    process = receive(channel)
    assert process is not None
    channel.close()
    wait_until(lambda: not process.is_alive())


def test_a_killed_process_is_noticed(launch: Launch) -> None:
    channel = launch(echo)
    process = receive(channel)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert select.select([channel], [], [], 10)[0]
    assert receive(channel) is None
    wait_until(lambda: not process.is_alive())


def test_a_process_that_breaks_ends_and_the_launcher_goes_on(launch: Launch) -> None:
    assert receive(launch(raises)) is None
    assert receive(launch(raises)) is None


def test_nothing_is_assigned_to_whoever_is_gone(launch: Launch) -> None:
    channel = launch(raises)
    assert receive(channel) is None
    assert not send(channel, Assignment(LEASE, recover=False))

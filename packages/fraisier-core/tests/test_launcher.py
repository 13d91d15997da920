import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.worker.assignment import receive, send
from fraisier_core.worker.jobs import DEPLOYMENT
from fraisier_core.worker.launcher import Launcher, Warmth, fork

from tests.waiting import wait_until


def echo(channel: Connection) -> None:
    send(channel, ProcessIdentity.of(os.getpid()))
    if (message := receive(channel)) is not None:
        send(channel, len(message))


def raises(channel: Connection) -> None:
    raise RuntimeError(channel)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


Launch = Callable[[Callable[[Connection], None]], Connection]


@pytest.fixture
def forked() -> Iterator[Launch]:
    """A function that forks a process."""
    with ExitStack() as ends:
        yield lambda main: ends.enter_context(closing(fork("process of this test", main)))


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    with closing(Launcher(Warmth(f"sqlite:///{tmp_path}/store.db", "local", []), os.environ)) as found:
        yield found
    found.wait()


def test_a_process_introduces_itself_and_takes_a_message_of_any_size(forked: Launch) -> None:
    channel = forked(echo)
    process = receive(channel)
    assert process is not None
    assert process.is_alive()
    assert send(channel, "x" * 5_000_000)
    assert receive(channel) == 5_000_000
    assert receive(channel) is None
    wait_until(lambda: not process.is_alive())


def test_the_owner_learns_how_a_launcher_ended(launcher: Launcher) -> None:
    with closing(launcher.launch(DEPLOYMENT)) as channel:
        process = receive(channel)
        os.kill(parent_of(process.pid), signal.SIGKILL)
        assert select.select([launcher], [], [], 10)[0]
        assert launcher.wait() == -signal.SIGKILL
        with pytest.raises(BrokenPipeError):
            launcher.launch(DEPLOYMENT)


def test_a_launcher_ends_with_its_owner(launcher: Launcher) -> None:
    launcher.close()
    assert launcher.wait() == 0


def test_a_launcher_outlives_the_processes_that_it_forks(launcher: Launcher) -> None:
    processes = set()
    for _ in range(2):
        with closing(launcher.launch(DEPLOYMENT)) as channel:
            processes.add(receive(channel))
    assert len(processes) == 2
    wait_until(lambda: not any(process.is_alive() for process in processes))


def test_each_process_is_one_of_its_own(forked: Launch) -> None:
    found = [receive(channel) for channel in [forked(echo) for _ in range(3)]]
    assert len({each.pid for each in found if each} - {os.getpid()}) == 3


def test_a_process_leads_a_group_of_its_own(forked: Launch) -> None:
    channel = forked(echo)
    process = receive(channel)
    assert process is not None
    assert os.getpgid(process.pid) == os.getsid(process.pid) == process.pid


def test_a_process_without_an_assignment_ends_with_its_owner(forked: Launch) -> None:
    channel = forked(echo)
    process = receive(channel)
    assert process is not None
    channel.close()
    wait_until(lambda: not process.is_alive())


def test_a_killed_process_is_noticed(forked: Launch) -> None:
    channel = forked(echo)
    process = receive(channel)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert select.select([channel], [], [], 10)[0]
    assert receive(channel) is None
    wait_until(lambda: not process.is_alive())


def test_nothing_is_assigned_to_whoever_is_gone(forked: Launch) -> None:
    channel = forked(raises)
    assert receive(channel) is None
    assert not send(channel, "a message")

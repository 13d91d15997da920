import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fraisier_core.system.host import boot_id
from fraisier_core.system.processes import (
    ProcessIdentity,
    children,
    descendants,
    kill_group,
    kill_marked,
)

from tests.users import as_root
from tests.waiting import wait_until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def in_a_subreaper(script: str) -> str:
    """Run Python in a process that adopts its orphans, so that the test's own process stays as it is."""
    prelude = "import os,sys,signal,subprocess,time;from fraisier_core.system.processes import *\n"
    prelude += "become_subreaper()\n"
    done = subprocess.run(
        [sys.executable, "-c", prelude + script], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_identity_is_alive_until_the_process_ends(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity.is_alive()
    sleeper.kill()
    wait_until(lambda: not identity.is_alive())  # a zombie: nothing has waited for it
    assert identity in children()
    sleeper.wait()
    assert not identity.is_alive()


def test_another_start_time_is_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert not ProcessIdentity(identity.pid, identity.start_time - 1).is_alive()


def test_a_process_that_never_was_has_no_identity() -> None:
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(2**22 + 1)


def test_the_boot_has_an_id() -> None:
    assert boot_id() == boot_id()
    assert len(boot_id()) == 36


def test_a_name_full_of_brackets_and_spaces_is_no_obstacle(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as process:
        assert ProcessIdentity.of(process.pid).is_alive()
        process.kill()


def test_descendants_are_found_at_every_depth_but_those_spared() -> None:
    with subprocess.Popen(["sh", "-c", "(sleep 60; :) & sleep 60; :"], start_new_session=True) as shell:
        wait_until(lambda: len(descendants(shell.pid)) == 3)
        subshell = next(each for each in descendants(shell.pid) if descendants(each.pid))
        assert len(descendants(shell.pid, spare={subshell})) == 1
        os.killpg(shell.pid, signal.SIGKILL)


def test_a_daemon_is_ended_and_reaped_by_a_subreaper() -> None:
    assert (
        in_a_subreaper(
            "subprocess.run(['sh', '-c', 'setsid sh -c \"setsid sleep 60 & setsid sleep 61 &\"'])\n"
            "before = len(children())\n"
            "left = kill_descendants(grace_seconds=5)\n"
            "print(before, len(left), len(children()))"
        )
        == "2 0 0"
    )


def test_what_ignores_sigterm_is_killed_after_the_grace() -> None:
    assert (
        in_a_subreaper(
            "script = 'trap \"\" TERM; echo; while :; do sleep 60; done'\n"
            "p = subprocess.Popen(['sh', '-c', script], stdout=subprocess.PIPE)\n"
            "p.stdout.readline()\n"
            "print(len(kill_descendants(grace_seconds=0.1)), len(children()))"
        )
        == "0 0"
    )


def test_spared_processes_and_what_they_started_live_on() -> None:
    assert (
        in_a_subreaper(
            "script = 'sleep 60 >/dev/null 2>&1 & echo; wait'\n"
            "kept = subprocess.Popen(['sh', '-c', script], stdout=subprocess.PIPE)\n"
            "kept.stdout.readline()\n"
            "other = subprocess.Popen(['sleep', '60'])\n"
            "kill_descendants(spare={ProcessIdentity.of(kept.pid)}, grace_seconds=5)\n"
            "print(len(descendants(os.getpid())), end=' ')\n"
            "leave_running(children())\n"
            "kill_descendants(grace_seconds=5)\n"
            "print(len(descendants(os.getpid())))\n"
            "[os.kill(each.pid, signal.SIGKILL) for each in descendants(os.getpid())]"
        )
        == "2 2"
    )


def test_the_exit_status_of_an_awaited_child_is_left_to_whoever_waits() -> None:
    assert (
        in_a_subreaper(
            "awaited = subprocess.Popen(['sleep', '60'])\n"
            "AWAITED.add(ProcessIdentity.of(awaited.pid))\n"
            "kill_descendants(grace_seconds=5)\n"
            "print(awaited.wait())"
        )
        == "-15"
    )


def test_marked_processes_are_killed_whatever_session_they_moved_to() -> None:
    env = {"PATH": os.environ["PATH"], "FRAISIER_TEST_MARK": f"mark-{os.getpid()}"}
    with subprocess.Popen(["setsid", "sh", "-c", "sleep 60; :"], env=env) as marked:
        wait_until(lambda: descendants(marked.pid))
        (sleep,) = descendants(marked.pid)
        assert kill_marked("FRAISIER_TEST_MARK", f"mark-{os.getpid()}") == frozenset()
        wait_until(lambda: not sleep.is_alive())
        assert marked.wait() == -signal.SIGKILL


def test_another_mark_is_another_deployment(sleeper: subprocess.Popen[bytes]) -> None:
    kill_marked("FRAISIER_TEST_MARK", "nobody")
    assert ProcessIdentity.of(sleeper.pid).is_alive()


def test_a_group_is_killed_even_after_its_leader() -> None:
    script = "sleep 60 & echo $!; exit"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        member = ProcessIdentity.of(int(leader.stdout.readline()))
        identity = ProcessIdentity.of(leader.pid)
    assert member.is_alive()
    assert kill_group(identity) == frozenset()
    wait_until(lambda: not member.is_alive())


def test_a_group_whose_id_was_given_out_again_is_left_alone() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60; :"], start_new_session=True) as leader:
        wait_until(lambda: descendants(leader.pid))
        now = ProcessIdentity.of(leader.pid)
        kill_group(ProcessIdentity(now.pid, now.start_time - 1))
        assert now.is_alive()
        assert len(descendants(leader.pid)) == 1
        os.killpg(leader.pid, signal.SIGKILL)


@as_root
def test_an_undumpable_process_can_still_run_commands() -> None:
    nobody = pwd.getpwnam("nobody")
    script = (
        "import threading\n"
        "from pathlib import Path\n"
        "from fraisier_core.system.commands import *\n"
        "from fraisier_core.system.environment import *\n"
        f"os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})\n"
        "import ctypes; ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as after an exec\n"
        "assert os.access('/proc/self/environ', os.R_OK)\n"
        "forbid_dumps()\n"
        "print(os.access('/proc/self/environ', os.R_OK), end=' ', flush=True)\n"
        "run_command(['echo', 'ran'], cwd=Path('/'), env=clean_environment({}), limits=Limits(9, 9),"
        " on_output=lambda data: print(data.decode().strip()), cancelled=threading.Event())"
    )
    assert in_a_subreaper(script) == "False ran"

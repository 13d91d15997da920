import errno
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from fraisier_core.errors import CancelledError, CommandFailedError
from fraisier_core.system.commands import CommandResult, Limits, run_command
from fraisier_core.system.environment import clean_environment
from fraisier_core.system.processes import ProcessIdentity, become_subreaper, children, kill_descendants

LIMITS = Limits(wall=30, silence=30, grace=2)


@pytest.fixture(autouse=True)
def subreaper() -> None:
    become_subreaper()


def run(
    *argv: str,
    limits: Limits = LIMITS,
    env: Mapping[str, str] | None = None,
    on_output: Callable[[bytes], None] = lambda _: None,
    on_start: Callable[[ProcessIdentity], None] | None = None,
    cancelled: threading.Event | None = None,
    leave_running: bool = False,
    check: bool = True,
) -> CommandResult:
    return run_command(
        argv,
        cwd=Path("/tmp"),
        env=clean_environment(env or {}),
        limits=limits,
        on_output=on_output,
        on_start=on_start,
        cancelled=cancelled or threading.Event(),
        leave_running=leave_running,
        check=check,
    )


def printed_by(*argv: str, **options: Mapping[str, str]) -> bytes:
    output = bytearray()
    run(*argv, on_output=output.extend, **options)  # type: ignore[arg-type]
    return bytes(output)


def end_left_running(process: ProcessIdentity) -> None:
    assert process.is_alive()
    os.kill(process.pid, signal.SIGKILL)
    os.waitpid(process.pid, 0)


def test_output_and_errors_arrive_in_order() -> None:
    assert printed_by("sh", "-c", "echo one; echo two >&2; echo three") == b"one\ntwo\nthree\n"


def test_its_status_and_its_last_lines_are_returned_if_asked_for() -> None:
    assert run("sh", "-c", "echo one; echo two >&2") == CommandResult(0, "one\ntwo\n")
    assert run("sh", "-c", "printf gone; exit 3", check=False) == CommandResult(3, "gone")
    assert run("sh", "-c", "kill -9 $$", check=False).status == -signal.SIGKILL
    last = run("seq", "-f", "line %g", "100000").output
    assert last.startswith("line ")
    assert last.endswith("line 100000\n")
    assert len(last) <= 4096


def test_arguments_are_never_read_by_a_shell() -> None:
    assert printed_by("echo", "$HOME;`id`") == b"$HOME;`id`\n"


def test_a_command_gets_no_input_and_a_session_of_its_own() -> None:
    assert printed_by("cat") == b""
    started: list[ProcessIdentity] = []
    run("sh", "-c", "test $(ps -o sid= -p $$) = $$", on_start=started.append)
    assert started[0].start_time > 0


def test_the_environment_is_the_allow_list_and_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", "hidden")
    monkeypatch.setenv("LC_TIME", "C")
    shown = printed_by("env", env={"EXTRA": "1"}).decode()
    assert "WEBHOOK_SECRET" not in shown
    assert "LC_TIME=C\n" in shown
    assert "EXTRA=1\n" in shown
    assert "PATH=" in shown


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["sh", "-c", "exit 3"], "sh -c 'exit 3' exited with status 3"),
        (["sh", "-c", "kill -9 $$"], "sh -c 'kill -9 $$' was killed by signal 9 (Killed)"),
        (["fraisier-no-such-program"], f"cannot be started: {os.strerror(errno.ENOENT)}: fraisier-no-such"),
        (["/tmp"], f"cannot be started: {os.strerror(errno.EACCES)}: /tmp"),
        (["a\0b"], "cannot be started: "),
        (["sh", "-c", f": {'x' * 500}; exit 1"], "... exited with status 1"),
    ],
)
def test_a_failure_says_what_and_why(argv: list[str], message: str) -> None:
    with pytest.raises(CommandFailedError) as caught:
        run(*argv)
    assert message in str(caught.value)


def test_a_script_without_an_interpreter_gets_a_hint(tmp_path: Path) -> None:
    script = tmp_path / "build.sh"
    script.write_text("echo built\n")
    script.chmod(0o755)
    with pytest.raises(CommandFailedError, match="such as #!/bin/sh"):
        run(str(script))


def test_a_missing_directory_is_named() -> None:
    with pytest.raises(CommandFailedError, match=f"{os.strerror(errno.ENOENT)}: /nonexistent"):
        run_command(
            ["true"],
            cwd=Path("/nonexistent"),
            env={},
            limits=LIMITS,
            on_output=print,
            cancelled=threading.Event(),
        )


def test_a_hanging_command_is_ended_with_all_it_started() -> None:
    before = children()
    with pytest.raises(CommandFailedError, match=r"timed out after 0\.1 s \(timeout\)"):
        run("sh", "-c", "sleep 60 & (setsid sleep 60 &) ; sleep 60", limits=Limits(0.1, math.inf))
    assert children() == before


def test_silence_is_a_limit_of_its_own() -> None:
    with pytest.raises(CommandFailedError, match=r"printed nothing for 0\.1 s \(silence_timeout\)"):
        run("sh", "-c", "echo; sleep 60", limits=Limits(60, 0.1))


def test_output_keeps_the_silence_limit_away() -> None:
    run("sh", "-c", "for i in 1 2 3 4 5 6; do echo; sleep 0.1; done", limits=Limits(60, 0.4))


def test_the_last_words_after_sigterm_are_heard() -> None:
    output = bytearray()
    with pytest.raises(CommandFailedError, match="timed out"):
        run(
            "sh",
            "-c",
            "trap 'echo bye; exit' TERM; while :; do sleep 0.01; done",
            limits=Limits(0.2, math.inf),
            on_output=output.extend,
        )
    assert b"bye\n" in output


def test_what_ignores_sigterm_is_killed() -> None:
    before = children()
    with pytest.raises(CommandFailedError, match="timed out"):
        run("sh", "-c", "trap '' TERM; while :; do sleep 1; done", limits=Limits(0.1, math.inf, grace=0.1))
    assert children() == before


def test_a_command_whose_first_thread_ended_before_others_is_ended_as_well() -> None:
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=[60]).start()\n"
        "print('threads', flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    started: list[ProcessIdentity] = []
    printed = bytearray()
    limits = Limits(wall=60, silence=3, grace=2)
    with pytest.raises(CommandFailedError, match="printed nothing for 3 s"):
        run(sys.executable, "-c", code, limits=limits, on_start=started.append, on_output=printed.extend)
    assert printed == b"threads\n"
    assert not Path(f"/proc/{started[0].pid}").exists()


def test_cancelling_ends_the_tree() -> None:
    before, cancelled = children(), threading.Event()
    with pytest.raises(CancelledError, match="cancelled while sh"):
        run("sh", "-c", "sleep 60 & wait", cancelled=cancelled, on_start=lambda _: cancelled.set())
    assert children() == before


def test_an_error_of_the_listener_ends_the_tree() -> None:
    before = children()

    def refuse(_: bytes) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run("sh", "-c", "echo; sleep 60", on_output=refuse)
    assert children() == before


def test_a_daemon_that_broke_away_is_ended_with_its_command() -> None:
    before = children()
    run("sh", "-c", "setsid sh -c 'setsid sleep 60 >/dev/null 2>&1 &'")
    assert children() == before


def test_a_grandchild_that_holds_the_pipe_is_not_waited_for() -> None:
    output = bytearray()
    run("sh", "-c", "sleep 20 & echo $!", on_output=output.extend, leave_running=True)
    end_left_running(ProcessIdentity.of(int(output)))


def test_a_grandchild_that_floods_the_pipe_is_not_waited_for() -> None:
    before = children()
    run("sh", "-c", "yes &", on_output=lambda _: time.sleep(0.001))  # slower than the flood
    assert children() == before


def test_a_daemon_left_running_outlives_later_commands() -> None:
    earlier = children()  # such as those that other tests keep for the whole session
    output = bytearray()
    run(
        "sh",
        "-c",
        "setsid sleep 60 >/dev/null 2>&1 & echo $!",
        on_output=output.extend,
        leave_running=True,
    )
    daemon = ProcessIdentity.of(int(output))
    run("true")
    with pytest.raises(CommandFailedError):
        run("false")
    kill_descendants(spare=earlier, grace_seconds=0)
    end_left_running(daemon)


def test_a_failing_command_leaves_nothing_running_even_if_it_may() -> None:
    before = children()
    with pytest.raises(CommandFailedError):
        run("sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & exit 1", leave_running=True)
    assert children() == before


def test_commands_in_two_threads_leave_each_other_alone() -> None:
    def work() -> None:
        for _ in range(10):
            run("sh", "-c", "sleep 0.01; sh -c 'sleep 0.01; :'")
        done.append(True)

    done: list[bool] = []
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [True, True]


def test_a_child_that_was_there_before_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        run("true")
        assert other.poll() is None
        other.kill()


def test_a_gigabyte_passes_in_flat_memory() -> None:
    sizes: list[int] = []
    run("head", "-c", "1G", "/dev/zero", on_output=lambda _: None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(
        "head",
        "-c",
        "1G",
        "/dev/zero",
        on_output=lambda data: sizes.append(len(data)) if len(sizes) < 9 else None,
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8192  # KiB
    assert max(sizes) <= 65_536


def test_all_output_written_before_the_exit_is_heard() -> None:
    script = "import sys; sys.stdout.write('x' * 5_000_000)"
    assert len(printed_by(sys.executable, "-c", script)) == 5_000_000


def test_descriptors_do_not_leak() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        run("true")
        with pytest.raises(CommandFailedError):
            run("fraisier-no-such-program")
    assert len(list(Path("/proc/self/fd").iterdir())) == before

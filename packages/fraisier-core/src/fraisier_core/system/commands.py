"""Running commands: argument lists, never a shell; bounded, streamed, and ended with all they started.

A command gets a session of its own, no input, and one pipe for what it prints. It is over when it exits,
even if something it started still holds that pipe. What it leaves behind is ended then, daemons included
if the calling process is a subreaper (see `processes.become_subreaper`).

A process that runs commands starts its other children before or after, or through here as well: what
appears below it while a command runs counts as that command's.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from fraisier_core.errors import CancelledError, CommandFailedError, FraisierError
from fraisier_core.system.memory_kills import is_of_one_run, kill_first, memory_kills
from fraisier_core.system.processes import (
    AWAITED,
    ProcessIdentity,
    children,
    descendants,
    kill_descendants,
    leave_running,
)
from fraisier_core.system.scripts import ScriptError, start_failure, startable

_READ_BYTES = 65_536
_DRAIN_SECONDS = 0.2
_TICK_SECONDS = 0.05
_SHOWN_CHARACTERS = 200
_TAIL_BYTES = 4096

# The children of a process belong to all of its threads: while one starts a command or ends what a command
# left, another that did so could take the one's for its own.
_TURN = threading.Lock()


class Interruption(Protocol):
    """Such as a `threading.Event`: asked again and again whether to stop; what it raises stops as well."""

    def is_set(self) -> bool:
        """Whether to stop."""


class CommandResult(NamedTuple):
    """How a command exited (negative: the signal that killed it), and the last lines that it printed, at most
    4,096 bytes of output and errors merged.
    """

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a command may take: in all, between two outputs, and from SIGTERM to SIGKILL."""

    wall: float
    silence: float
    grace: float = 5.0
    setting: str = "timeout"  # which sets `wall`


def run_command(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path,
    env: Mapping[str, str],
    limits: Limits,
    on_output: Callable[[bytes], None],
    cancelled: Interruption,
    on_start: Callable[[ProcessIdentity], None] | None = None,
    leave_running: bool = False,
    check: bool = True,
    pass_fds: Sequence[int] = (),
    umask: int = -1,
    killed_first: bool = False,
) -> CommandResult:
    """Run a command to its end, in a session and a process group of its own; a script that may not be
    executed is given to the interpreter that it names.

    `env` is its whole environment. `on_output` is called in this thread with each piece of what it prints,
    output and errors merged, and `on_start` once it runs. `leave_running` spares what it started and left
    behind, such as a daemon, if it succeeds; that must have redirected its output. `umask` is the command's,
    if not this process's. What is `killed_first` is killed rather than this process if memory runs out.
    Raises `CommandFailedError` if it exits with another status than 0 and that is to be checked, exceeds a
    limit or cannot be started, and `CancelledError`.
    """
    start = partial(_start, argv, cwd, env, pass_fds, umask)
    tail = _Tail(on_output)
    with _Command(start, shown(argv), limits, tail, cancelled) as command:
        if killed_first:
            kill_first(command.identity.pid)
        if on_start is not None:
            on_start(command.identity)
        command.follow()
        if leave_running and command.exit_text is None:
            command.leave_running()
    if check and command.exit_text is not None:
        raise CommandFailedError(f"{shown(argv)} {command.exit_text}")
    return CommandResult(command.status, tail.text())


def shown(argv: Sequence[str | os.PathLike[str]]) -> str:
    """Return a command as one would type it, shortened, for messages."""
    text = shlex.join(os.fspath(argument) for argument in argv)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def exit_text(status: int) -> str | None:
    """Return how a process failed, None if it succeeded; a negative status is the signal that killed it."""
    if status == 0:
        return None
    if status < 0:
        return f"was killed by signal {-status} ({signal.strsignal(-status)})"
    return f"exited with status {status}"


def _start(
    argv: Sequence[str | os.PathLike[str]],
    cwd: Path,
    env: Mapping[str, str],
    pass_fds: Sequence[int],
    umask: int,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            startable([os.fspath(argument) for argument in argv], cwd, env),
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            pass_fds=pass_fds,
            umask=umask,
        )
    except (OSError, ValueError, ScriptError) as error:
        why = start_failure(error, cwd) if isinstance(error, OSError) else str(error)
        raise CommandFailedError(f"{shown(argv)} cannot be started: {why}") from error


class _Tail:
    """Hands output on, and keeps the end of it."""

    def __init__(self, on_output: Callable[[bytes], None]) -> None:
        self._on_output = on_output
        self._kept = bytearray()
        self._is_whole = True

    def __call__(self, data: bytes) -> None:
        self._kept += data
        self._is_whole &= len(self._kept) <= _TAIL_BYTES
        del self._kept[:-_TAIL_BYTES]
        self._on_output(data)

    def text(self) -> str:
        """Return whole lines, if there is more than one."""
        start = 0 if self._is_whole else self._kept.find(b"\n") + 1
        return self._kept[start:].decode("utf-8", "replace")


class _Command:
    """A started command; leaving the context ends whatever of it still runs."""

    def __init__(
        self,
        start: Callable[[], subprocess.Popen[bytes]],
        title: str,
        limits: Limits,
        on_output: Callable[[bytes], None],
        cancelled: Interruption,
    ) -> None:
        self._memory_kills = memory_kills()
        with _TURN:
            self._earlier = children()
            self._process = start()
            self.identity = ProcessIdentity.of(self._process.pid)
            AWAITED.add(self.identity)
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        self._title = title
        self._limits = limits
        self._on_output = on_output
        self._cancelled = cancelled
        self._pipe = self._process.stdout
        self._pidfd = os.pidfd_open(self._process.pid)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)
        self._poll.register(self._pidfd, select.POLLIN)
        self._started_at = self._heard_at = time.monotonic()

    def __enter__(self) -> _Command:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with _TURN:
                kill_descendants(spare=self._others(), grace_seconds=self._limits.grace)
            if isinstance(error, FraisierError):
                self._drain()  # its last words
        finally:
            AWAITED.discard(self.identity)
            self._process.poll()
            self._pipe.close()
            os.close(self._pidfd)

    @property
    def status(self) -> int:
        """Its exit status; negative is the signal that killed it."""
        return int(self._process.returncode)

    @property
    def exit_text(self) -> str | None:
        """How it failed, None if it succeeded."""
        text = exit_text(self.status)
        if text is None or memory_kills() == self._memory_kills:
            return text
        if not is_of_one_run():
            return f"{text}: memory ran out while it ran, and the kernel killed a process of the same cgroup"
        what = "it" if self.status == -signal.SIGKILL else "a process of its cgroup"
        return f"{text}: memory ran out, and the kernel killed {what}"

    def follow(self) -> None:
        """Hand on what it prints until it exits; raises if it goes beyond its limits or is cancelled."""
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll(self._patience() * 1000)}
            if self._pidfd in ready:
                self._drain()
                self._process.wait()
                return
            if ready:
                self._read()
            self._check()

    def leave_running(self) -> None:
        """Spare what it started and left behind, now and whenever this process ends its descendants."""
        with _TURN:
            leave_running(descendants(os.getpid(), spare=self._others()))

    def _others(self) -> frozenset[ProcessIdentity]:
        return self._earlier | (AWAITED - {self.identity})

    def _patience(self) -> float:
        now = time.monotonic()
        wall = self._started_at + self._limits.wall - now
        silence = self._heard_at + self._limits.silence - now
        return max(0.0, min(_TICK_SECONDS, wall, silence))

    def _check(self) -> None:
        now, limits, title = time.monotonic(), self._limits, self._title
        if self._cancelled.is_set():
            raise CancelledError(f"cancelled while {title} ran")
        if now - self._started_at >= limits.wall:
            raise CommandFailedError(f"{title} timed out after {limits.wall:g} s ({limits.setting})")
        if now - self._heard_at >= limits.silence:
            raise CommandFailedError(f"{title} printed nothing for {limits.silence:g} s (silence_timeout)")

    def _read(self) -> bool:
        """Hand on one piece of output; whether there was one."""
        data = os.read(self._pipe.fileno(), _READ_BYTES)
        if not data:
            self._poll.unregister(self._pipe)
            return False
        self._heard_at = time.monotonic()
        self._on_output(data)
        return True

    def _drain(self) -> None:
        """Hand on what lies in the pipe, without waiting for other processes that may still hold it."""
        until = time.monotonic() + _DRAIN_SECONDS
        with suppress(BlockingIOError, KeyError):
            os.set_blocking(self._pipe.fileno(), False)
            while self._read() and time.monotonic() < until:
                pass

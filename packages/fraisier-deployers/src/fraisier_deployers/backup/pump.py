"""Runs a pipeline: `python -m fraisier_deployers.backup.pump WORD ...`, as `Pipeline.words` returns them.

Bytes flow from a file or commands through this process, which counts and hashes them, to a file or other
commands. All of them must succeed, as with `pipefail` in a shell; the output is durable then. If this process
or who runs it is killed, the commands end, and write no further. It imports little: a backup takes the
memory of this process beside that of its commands.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO

from fraisier_core import die_with_parent

from fraisier_deployers.backup.pipeline import Pipeline, Stage

SO_FAR = "MB so far"
_BUFFER_BYTES = 2**20
_PROGRESS_SECONDS = 10.0
_ENDING_SECONDS = 5.0
_NO_READER = (-signal.SIGPIPE, 128 + signal.SIGPIPE)  # the latter as a shell says it


class PipelineError(Exception):
    """A pipeline failed; the text says which part of it, and how."""


@dataclass(frozen=True, slots=True)
class Flowed:
    """What flowed through: how many bytes, and their SHA-256."""

    size: int
    sha256: str


def flow(pipeline: Pipeline) -> Flowed:
    """Run a pipeline to its end, and say now and then how far it is. Raises `PipelineError`."""
    with ExitStack() as opened:
        commands = _Commands()
        opened.callback(commands.end)
        try:
            return _flow(pipeline, commands, opened)
        except OSError as error:
            raise PipelineError(f"{error.filename or pipeline.output}: {error.strerror}") from error


def _flow(pipeline: Pipeline, commands: _Commands, opened: ExitStack) -> Flowed:
    output = opened.enter_context(_created(pipeline.output))
    sink = commands.fed(pipeline.after, output)
    source = commands.read(pipeline.before, pipeline.input)
    with suppress(BrokenPipeError), source, sink:  # by the exit status of who ended early
        flowed = _copied(source, sink, _Progress())
    commands.require_success()
    if stat.S_ISREG(os.fstat(output.fileno()).st_mode):
        os.fsync(output.fileno())
    return flowed


def _copied(source: FileIO, sink: FileIO, progress: _Progress) -> Flowed:
    digest, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    while count := source.readinto(buffer):
        piece = buffer[:count]
        digest.update(piece)
        while piece:
            piece = piece[sink.write(piece) :]
        size += count
        progress.tell(size)
    return Flowed(size, digest.hexdigest())


class _Progress:
    """Says now and then how much flowed, if anything did: a run that says nothing for long is ended."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _PROGRESS_SECONDS

    def tell(self, size: int) -> None:
        if (now := time.monotonic()) >= self._next:
            say(f"{size / 1e6:,.0f} {SO_FAR}")
            self._next = now + _PROGRESS_SECONDS


class _Commands:
    """The commands of a pipeline."""

    def __init__(self) -> None:
        self._started: list[tuple[Stage, subprocess.Popen[bytes]]] = []

    def read(self, stages: Sequence[Stage], path: str | None) -> FileIO:
        """Return what the last one prints, of which the first one reads a file; the file, if there is no
        command.
        """
        last = FileIO(os.open(path or os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        for stage in stages:
            with last:
                process = self._start(stage, last, subprocess.PIPE)
            last = _pipe(process.stdout)
        return last

    def fed(self, stages: Sequence[Stage], output: FileIO) -> FileIO:
        """Return what the first one reads, of which the last one prints into a file; the file, if there is
        none.
        """
        following = output
        for stage in reversed(stages):
            process = self._start(stage, subprocess.PIPE, following)
            if following is not output:
                following.close()
            following = _pipe(process.stdin)
        return following if stages else FileIO(os.dup(output.fileno()), "w")

    def _start(self, stage: Stage, reads: FileIO | int, prints: FileIO | int) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                stage.argv,
                stdin=reads,
                stdout=prints,
                bufsize=0,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - there are no threads
            )
        except OSError as error:
            raise PipelineError(f"{stage.argv[0]} cannot be started: {error.strerror}") from error
        self._started.append((stage, process))
        return process

    def require_success(self) -> None:
        """Wait for all of them. Raises `PipelineError` if one failed: rather the one that was first to, than
        those that it left without a reader.
        """
        failures = [
            (process.returncode in _NO_READER, f"{stage.argv[0]} {exit_text(process.returncode)}")
            for stage, process in self._started
            if process.wait() not in stage.accepted
        ]
        if failures:
            raise PipelineError(min(failures, key=lambda failure: failure[0])[1])

    def end(self) -> None:
        """End those that still run."""
        running = [process for _, process in self._started if process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_ENDING_SECONDS)
            process.kill()
            process.wait()


def _pipe(pipe: object) -> FileIO:
    assert isinstance(pipe, FileIO)  # noqa: S101 - for the type checker: it is not buffered
    with suppress(OSError):  # the user may have too many large ones
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _BUFFER_BYTES)
    return pipe


def _created(path: str | None) -> FileIO:
    if path is None:
        return FileIO(os.dup(1), "w")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    return FileIO(os.open(path, flags, 0o600), "w")


def exit_text(status: int) -> str:
    """Return how a process failed; a negative status is the signal that killed it."""
    if status < 0:
        return f"was killed by signal {-status} ({signal.strsignal(-status)})"
    return f"exited with status {status}"


def reported(run: Callable[[], Flowed]) -> int:
    """Run something, say in the last line what flowed or what failed, and return an exit status."""
    try:
        flowed = run()
    except PipelineError as error:
        say(f"failed: {error}")
        return 1
    say(f"{flowed.size} bytes, sha256 {flowed.sha256}")
    return 0


def say(line: str) -> None:
    """Print a line, not as output, which may be what flows."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    die_with_parent(os.getppid())
    sys.exit(reported(lambda: flow(Pipeline.parse(sys.argv[1:]))))

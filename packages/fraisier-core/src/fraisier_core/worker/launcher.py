"""The launcher: a warm process that forks one for each job.

Owner and process talk over a line of messages, and each ends when the other one is gone.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

logger = logging.getLogger(__name__)

MESSAGE_BYTES = 65_536

Jobs = Mapping[str, Callable[[Connection], None]]


@dataclass(frozen=True, slots=True)
class Warmth:
    """What the processes are ready for: a store, by its url, on a host, and some fraise types."""

    database: str
    host: str
    types: Sequence[str]


class Launcher:
    """The owner's side; `wait` returns its exit status once it ends, negative if a signal killed it."""

    def __init__(self, control: socket.socket, wait: Callable[[], int]) -> None:
        self._control = control
        self.wait = wait

    @classmethod
    def forked(cls, jobs: Jobs) -> Launcher:
        """Fork it from this process, which has neither threads nor an open store: they do not survive it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            ours.close()
            os.setsid()  # a Ctrl-C in the owner's terminal is the owner's to handle
            serve(theirs, jobs)
        theirs.close()
        return cls(ours, lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    @classmethod
    def started(cls, warmth: Warmth, environ: Mapping[str, str]) -> Launcher:
        """Start it in an interpreter of its own, whatever this process holds."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "fraisier_core.worker", str(theirs.fileno())],
                env=environ,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        ours.send(json.dumps(asdict(warmth)).encode())
        return cls(ours, process.wait)

    def fileno(self) -> int:
        """Return the file descriptor that becomes readable when the launcher ends."""
        return self._control.fileno()

    def launch(self, job: str) -> Connection:
        """Fork a process for a job and return the line to it. Raises `OSError` if the launcher is gone."""
        ours, theirs = Pipe()
        try:
            socket.send_fds(self._control, [job.encode()], [theirs.fileno()])
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def close(self) -> None:
        """End the launcher; the processes it forked live on."""
        self._control.close()


def warmth(control: socket.socket) -> Warmth | None:
    """Return what a started launcher is to be ready for; None if its owner is gone."""
    message = control.recv(MESSAGE_BYTES)
    return Warmth(**json.loads(message)) if message else None


def serve(control: socket.socket, jobs: Jobs) -> None:
    """Be the launcher: fork for each message, and end with the owner."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    while True:
        message, handles, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 1)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            _run(Connection(handles[0]), message.decode(), jobs)
        os.close(handles[0])


def _run(line: Connection, job: str, jobs: Jobs) -> None:
    os.setsid()  # what a lease names can be ended as a group, without its neighbours
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        jobs[job](line)
    except Exception:  # the run boundary: the process ends here, and its expired lease is recovered
        logger.exception("the %s process failed", job)
        os._exit(1)
    os._exit(0)

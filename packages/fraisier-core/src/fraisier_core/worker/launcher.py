"""A warm process that forks one for each job; owner and process talk over a line, and end with each other."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

from fraisier_core.errors import FraisierError

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
    """The launcher as its owner sees it, started in an interpreter that shares nothing with the owner."""

    def __init__(self, warmth: Warmth, environ: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "fraisier_core.worker", str(theirs.fileno())],
                env=environ,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._control.send(json.dumps(asdict(warmth)).encode())

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

    def wait(self) -> int:
        """Wait for its end, and return its exit status, negative if a signal killed it."""
        return self._process.wait()

    def close(self) -> None:
        """Have the launcher end; the processes it forked live on."""
        self._control.close()

    def end(self) -> None:
        """End the launcher at once; the processes it forked live on."""
        self.close()
        self._process.kill()
        self._process.wait()


def fork(name: str, work: Callable[[Connection], None]) -> Connection:
    """Fork a process without a launcher, from one without threads or store; return the line to it."""
    ours, theirs = Pipe()
    if os.fork() == 0:
        ours.close()
        _be(name, partial(work, theirs))
    theirs.close()
    return ours


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
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            job = message.decode()
            _be(f"{job} process", partial(jobs[job], Connection(handles[0])))
        os.close(handles[0])


def _be(name: str, work: Callable[[], None]) -> NoReturn:
    """Be a forked process: do its work, and end."""
    os.setsid()  # what a lease names can be ended as a group, and Ctrl-C is for the owner
    gc.freeze()  # or looking for garbage copies what is shared with the parent
    gc.enable()
    try:
        work()
    except FraisierError as error:
        logger.error("the %s failed: %s", name, error)
        os._exit(1)
    except Exception:  # the run boundary: the process ends here, and its expired lease is recovered
        logger.exception("the %s failed", name)
        os._exit(1)
    os._exit(0)

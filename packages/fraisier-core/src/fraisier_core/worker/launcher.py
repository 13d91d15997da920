"""Processes for deployments, forked from a warm one: starting an interpreter costs more than deploying.

The launcher is forked before its owner opens the store or starts a thread, because neither survives a fork.
Owner and process talk over a socket pair of messages; each side ends when the other one is gone.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass

from fraisier_core.store.records import Lease
from fraisier_core.system.processes import ProcessIdentity

logger = logging.getLogger(__name__)

MESSAGE_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a process has to do.

    Args:
        lease: the right to change the deployment, taken on the process's behalf.
        recover: whether the deployment's own process is gone and it has to be recovered.
        configuration: the text of `fraises.yaml` that the claim was made under.
    """

    lease: Lease
    recover: bool
    configuration: str


class Channel:
    """One end of the line between an owner and a deployment's process."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def fileno(self) -> int:
        """Return the file descriptor, for selectors."""
        return self._line.fileno()

    def send(self, message: object) -> bool:
        """Send a message, and return whether the other side was there to take it."""
        try:
            self._line.sendall(json.dumps(message).encode())
        except OSError:
            return False
        return True

    def receive(self) -> object | None:
        """Wait for a message; None if the other side is gone."""
        try:
            data = self._line.recv(MESSAGE_BYTES)
        except ConnectionError:
            return None
        return json.loads(data) if data else None

    def close(self) -> None:
        """Hang up."""
        self._line.close()


def introduce(channel: Channel) -> None:
    """Tell the owner that this process is ready, and which one it is."""
    channel.send(asdict(ProcessIdentity.of(os.getpid())))


def introduced(channel: Channel) -> ProcessIdentity | None:
    """Return who is ready at the other end, or None if it ended instead."""
    message = channel.receive()
    return ProcessIdentity(**message) if isinstance(message, dict) else None


def assign(channel: Channel, assignment: Assignment) -> bool:
    """Hand an assignment over, and return whether it was taken."""
    return channel.send(asdict(assignment))


def assigned(channel: Channel) -> Assignment | None:
    """Wait for an assignment; None if the owner is gone or wants nothing."""
    message = channel.receive()
    if not isinstance(message, dict):
        return None
    return Assignment(Lease(**message["lease"]), message["recover"], message["configuration"])


class Launcher:
    """Forks a process for each deployment.

    Args:
        main: what such a process does with its channel; the process ends when it returns.
    """

    def __init__(self, main: Callable[[Channel], None]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._control.close()
            _serve(theirs, main)
        theirs.close()

    def launch(self) -> Channel:
        """Fork a process and return the line to it. Raises `OSError` if the launcher is gone."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MESSAGE_BYTES)
        with theirs:
            socket.send_fds(self._control, [b"launch"], [theirs.fileno()])
        return Channel(ours)

    def close(self) -> None:
        """End the launcher; executing processes end by themselves."""
        self._control.close()


def _serve(control: socket.socket, main: Callable[[Channel], None]) -> None:
    """Be the launcher: fork for each message, and end with the owner."""
    os.setsid()  # a Ctrl-C in the owner's terminal is the owner's to handle
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    while True:
        message, handles, _, _ = socket.recv_fds(control, 16, 1)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            _run(Channel(socket.socket(fileno=handles[0])), main)
        os.close(handles[0])


def _run(channel: Channel, main: Callable[[Channel], None]) -> None:
    os.setsid()  # what a lease names can be ended as a group, without its neighbours
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        main(channel)
    except Exception:  # the run boundary: the process ends here, and its expired lease is recovered
        logger.exception("the process of a deployment failed")
        os._exit(1)
    os._exit(0)

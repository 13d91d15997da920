"""Processes for deployments, forked from a warm one: starting an interpreter costs more than deploying.

The launcher is forked before its owner opens the store or starts a thread, because neither survives a fork.
Owner and process talk over a socket pair of messages; each side ends when the other one is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable

from fraisier_core.worker.assignment import Channel

logger = logging.getLogger(__name__)


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
        ours, theirs = Channel.pair()
        with theirs:
            socket.send_fds(self._control, [b"launch"], [theirs.fileno()])
        return ours

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

"""What a deployment process is told to do, and the line on which it is told."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fraisier_core.config import Config, ResolvedEnvironment
from fraisier_core.errors import FraisierError
from fraisier_core.store.records import Deployment, Lease
from fraisier_core.system.processes import ProcessIdentity

HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a deployment process is told to do.

    Args:
        lease: the right to change the deployment, taken on the process's behalf.
        recover: whether the deployment's own process is gone and it has to be recovered.
        environment: what the process gets of the configuration that the claim was made under.
        problem: why it gets nothing; the deployment ends with it.
    """

    lease: Lease
    recover: bool
    environment: ResolvedEnvironment | None = None
    problem: str = ""

    @classmethod
    def under(cls, config: Config, deployment: Deployment, lease: Lease, *, recover: bool) -> Assignment:
        """Return the assignment for a deployment that was claimed under a configuration."""
        try:
            environment = config.resolved(deployment.fraise_id, deployment.environment)
        except FraisierError as error:
            return cls(lease, recover, problem=str(error))
        return cls(lease, recover, environment)


class Channel:
    """One end of the line between a process and its owner."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """Return our end and the one to hand over."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(ours), theirs

    def fileno(self) -> int:
        """Return the file descriptor, for selectors."""
        return self._line.fileno()

    def send(self, message: object) -> bool:
        """Send a message of any size, and return whether the other side was there to take it."""
        data = json.dumps(message, default=_plain).encode()
        try:
            self._line.sendall(len(data).to_bytes(HEADER_BYTES, "big") + data)
        except OSError:
            return False
        return True

    def receive(self) -> Any:
        """Wait for a message; None if the other side is gone."""
        try:
            size = int.from_bytes(self._read(HEADER_BYTES), "big")
            return json.loads(self._read(size))
        except (ConnectionError, EOFError):
            return None

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._line.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

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
    return channel.send(asdict(assignment) | {"lease": assignment.lease._asdict()})


def assigned(channel: Channel) -> Assignment | None:
    """Wait for an assignment; None if the owner is gone or wants nothing."""
    message = channel.receive()
    if not isinstance(message, dict):
        return None
    environment = message["environment"]
    return Assignment(
        Lease(**message["lease"]),
        message["recover"],
        _resolved(environment) if environment else None,
        message["problem"],
    )


def _resolved(values: dict[str, Any]) -> ResolvedEnvironment:
    changed = {"state_dir": Path(values["state_dir"]), "secrets": frozenset(values["secrets"])}
    return ResolvedEnvironment(**values | changed)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, frozenset) else str(value)

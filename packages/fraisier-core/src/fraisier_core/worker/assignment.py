"""What a deployment process is told to do, and how a process and its owner talk."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from fraisier_core.config import Config, ResolvedEnvironment
from fraisier_core.errors import FraisierError
from fraisier_core.store.records import Deployment, Lease


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a deployment process is told to execute or recover, under its lease, or why it cannot."""

    lease: Lease
    deployment: Deployment
    recover: bool
    environment: ResolvedEnvironment | None = None
    problem: str = ""

    @classmethod
    def under(cls, config: Config, deployment: Deployment, lease: Lease, *, recover: bool) -> Assignment:
        """Return the assignment for a deployment that was claimed under a configuration."""
        try:
            environment = config.resolved(deployment.fraise_id, deployment.environment)
        except FraisierError as error:
            return cls(lease, deployment, recover, problem=str(error))
        return cls(lease, deployment, recover, environment)


def send(line: Connection, message: object) -> bool:
    """Send a message of any size, and return whether the other side was there to take it."""
    try:
        line.send(message)
    except OSError:
        return False
    return True


def receive(line: Connection) -> Any:
    """Wait for a message; None if the other side is gone."""
    try:
        return line.recv()
    except (EOFError, OSError):
        return None

"""Who works on a deployment, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fraisier_core.errors import FencedError
from fraisier_core.store.database import Database, Row, statements
from fraisier_core.system.clock import boot_seconds
from fraisier_core.system.processes import ProcessIdentity, boot_id

LEASE_SECONDS = 30.0
HEARTBEAT_SECONDS = 15.0
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to change one deployment.

    Args:
        token: the fencing token; every event carries it, and one that is out of date is refused.
        deployment_id: the deployment.
        host: where it runs; `local` on one machine.
        attempt: how often this deployment was started, from 1.
    """

    token: int
    deployment_id: str
    host: str
    attempt: int


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease as another process finds it.

    Args:
        lease: the lease.
        boot: the boot it was taken in.
        holder: the process that holds it.
        command: the command that the holder was running, if any.
        expires: in seconds of that boot.
    """

    lease: Lease
    boot: str
    holder: ProcessIdentity
    command: ProcessIdentity | None
    expires: float

    @property
    def is_expired(self) -> bool:
        """Whether its holder is gone: another boot, a dead process, or a time that ran out."""
        return self.boot != boot_id() or not self.holder.is_alive() or self.expires < boot_seconds()


class Leases:
    """The leases and the workers' heartbeats: mutable, and no part of the history."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = statements("deployments")

    def take(self, deployment_id: str, attempt: int, holder: ProcessIdentity) -> Lease:
        """Take the lease of a deployment inside the caller's transaction and return it."""
        row = {
            "deployment_id": deployment_id,
            "host": LOCAL,
            "attempt": attempt,
            "boot_id": boot_id(),
            "pid": holder.pid,
            "pid_started": holder.start_time,
            "expires": boot_seconds() + LEASE_SECONDS,
        }
        taken = self._database.one(self._sql["take_lease"], row)
        assert taken is not None  # noqa: S101 - RETURNING answers with the row, or the insert raised
        return Lease(taken["token"], deployment_id, LOCAL, attempt)

    def renew(self, lease: Lease) -> None:
        """Hold the lease for longer. Raises `FencedError` where it was taken over."""
        row = {"token": lease.token, "expires": boot_seconds() + LEASE_SECONDS}
        self._update("renew_lease", row)

    def record_command(self, lease: Lease, command: ProcessIdentity) -> None:
        """Write down which command runs, so that recovery can end it. Raises `FencedError`."""
        row = {"token": lease.token, "pid": command.pid, "started": command.start_time}
        self._update("record_command", row)

    def _update(self, statement: str, row: dict[str, Any]) -> None:
        with self._database.transaction():
            if self._database.execute(self._sql[statement], row).rowcount == 0:
                raise FencedError("fenced: the lease of this deployment was taken over")

    def drop(self, lease: Lease) -> None:
        """Give the lease up, inside the caller's transaction."""
        self._database.execute(self._sql["drop_lease"], {"token": lease.token})

    def held(self) -> Sequence[HeldLease]:
        """Return every lease of this host."""
        return [_held(row) for row in self._database.all(self._sql["leases"], {"host": LOCAL})]

    def heartbeat(self, worker: ProcessIdentity) -> None:
        """Say that this worker lives, and forget those that no longer do."""
        row = {"host": LOCAL, "pid": worker.pid, "pid_started": worker.start_time, "boot_id": boot_id()}
        with self._database.transaction():
            self._database.execute(self._sql["heartbeat"], row | {"heartbeat": boot_seconds()})
            self._database.execute(self._sql["forget_dead_workers"], row | {"oldest": _oldest()})

    def forget_worker(self, worker: ProcessIdentity) -> None:
        """Say that this worker ends."""
        with self._database.transaction():
            self._database.execute(self._sql["forget_worker"], {"host": LOCAL, "pid": worker.pid})

    def prove_writable(self) -> None:
        """Write something, inside the caller's transaction. Raises `StoreError`; else its commit does."""
        self._database.execute(self._sql["prove_writable"])

    def live_workers(self) -> int:
        """Return how many workers said lately that they live."""
        row = self._database.one(self._sql["live_workers"], {"boot_id": boot_id(), "oldest": _oldest()})
        return int(row["live"]) if row else 0


def _oldest() -> float:
    return boot_seconds() - HEARTBEAT_SECONDS


def _held(row: Row) -> HeldLease:
    command = None
    if row["command_pid"] is not None:
        command = ProcessIdentity(row["command_pid"], row["command_started"])
    lease = Lease(row["token"], row["deployment_id"], row["host"], row["attempt"])
    return HeldLease(
        lease, row["boot_id"], ProcessIdentity(row["pid"], row["pid_started"]), command, row["expires"]
    )

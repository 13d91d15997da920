"""Who executes a deployment, and until when: mutable, and no part of the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fraisier_core.errors import FencedError
from fraisier_core.store.records import Deployment, HeldLease, Lease
from fraisier_core.store.relational.dialect import fleeting_transaction, transaction
from fraisier_core.store.relational.migrations import require_known
from fraisier_core.store.relational.reader import RelationalReader
from fraisier_core.system.host import utc_now
from fraisier_core.system.processes import ProcessIdentity
from fraisier_core.system.timing import HEARTBEAT_TIMEOUT, LEASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fraisier_core.store.relational.dialect import Row


class Leases(RelationalReader):
    """The leases and the workers' heartbeats."""

    files = (*RelationalReader.files, "deployments", "deliveries", "holding")

    def awaiting_units(
        self, fraise_id: str | None = None, environment: str | None = None, limit: int = 100
    ) -> list[Deployment]:
        names = {"fraise_id": fraise_id, "environment": environment}
        return self._records(Deployment, "awaiting_units", **names, limit=limit)

    def awaited_backups(self) -> list[Deployment]:
        return self._records(Deployment, "awaited_backups")

    def leases(self) -> list[HeldLease]:
        return [_held(row) for row in self._leases()]

    def expired(self) -> list[HeldLease]:
        return [_held(row) for row in self._leases() if self._is_expired(row)]

    @fleeting_transaction
    def take_over(self, held: HeldLease, holder: ProcessIdentity) -> Lease | None:
        self._require_known()
        if self._write("drop_lease", token=held.lease.token) == 0:
            return None
        return self._take(held.lease.deployment_id, held.lease.attempt, holder)

    def renew(self, lease: Lease) -> None:
        self._update("renew_lease", lease, **self._within(LEASE))

    def record_command(self, lease: Lease, command: ProcessIdentity) -> None:
        self._update("record_command", lease, pid=command.pid, started=command.start_time)

    def _beating(self, worker: ProcessIdentity) -> dict[str, Any]:
        here = {"host": self._host.name, "boot_id": self._host.boot_id} | self._within(HEARTBEAT_TIMEOUT)
        return {**here, "pid": worker.pid, "pid_started": worker.start_time}

    @fleeting_transaction
    def forget_worker(self, worker: ProcessIdentity) -> None:
        self._write("forget_worker", host=self._host.name, pid=worker.pid)

    @transaction
    def check_writable(self) -> None:
        self._write("prove_writable")

    def _require_known(self) -> None:
        """Raise `StoreError` if a newer version has migrated the store."""
        (found,) = self._all("newest_migration")
        require_known(self.dialect, found["name"])

    def _write(self, statement: str, **parameters: Any) -> int:
        return self._connection.execute(self._sql[statement], parameters)

    def _leases(self) -> Sequence[Row]:
        return self._all("leases", host=self._host.name, **self._within(LEASE))

    def _is_expired(self, row: Row) -> bool:
        holder = ProcessIdentity(row["pid"], row["pid_started"])
        return bool(row["expired"]) or not self._host.is_alive(row["boot_id"], holder)

    def _take(self, deployment_id: str, attempt: int, holder: ProcessIdentity) -> Lease:
        """Take the lease of a deployment inside the caller's transaction."""
        lease = {"deployment_id": deployment_id, "attempt": attempt}
        (taken,) = self._all("take_lease", **lease, **self._holding(holder))
        return Lease(taken["token"], deployment_id, self._host.name, attempt)

    def _holding(self, holder: ProcessIdentity) -> dict[str, Any]:
        """Return who takes a lease, when, and for how long."""
        here = {"host": self._host.name, "boot_id": self._host.boot_id, "at": utc_now()} | self._within(LEASE)
        return {**here, "pid": holder.pid, "pid_started": holder.start_time}

    def _require_held(self, lease: Lease) -> None:
        """Raise `FencedError` if a lease was taken over, and keep it from that until the transaction ends."""
        if self._one("held_lease", token=lease.token) is None:
            raise _fenced()

    @fleeting_transaction
    def _update(self, statement: str, lease: Lease, /, **values: Any) -> None:
        if self._write(statement, token=lease.token, **values) == 0:
            raise _fenced()


def _fenced() -> FencedError:
    return FencedError("fenced: the lease of this deployment was taken over")


def _held(row: Row) -> HeldLease:
    pid = row["command_pid"]
    command = None if pid is None else ProcessIdentity(pid, row["command_started"])
    lease = Lease(row["token"], row["deployment_id"], row["host"], row["attempt"])
    return HeldLease(lease, row["boot_id"], ProcessIdentity(row["pid"], row["pid_started"]), command)

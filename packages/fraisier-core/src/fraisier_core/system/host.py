"""This host: its name in the record, its clock, and which of its processes live."""

from __future__ import annotations

from dataclasses import dataclass, field

from fraisier_core.system.clock import boot_seconds
from fraisier_core.system.processes import ProcessIdentity, boot_id

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Host:
    """A host as leases and serving releases name it.

    Args:
        name: its name in the record.
        boot_id: the id of its current boot: every process of another one is gone.
    """

    name: str = LOCAL
    boot_id: str = field(default_factory=boot_id)

    def seconds(self) -> float:
        """Return the seconds since it booted, which no change of the clock alters."""
        return boot_seconds()

    def is_alive(self, boot: str, process: ProcessIdentity) -> bool:
        """Whether a process that was recorded in the boot `boot` still runs."""
        return boot == self.boot_id and process.is_alive()

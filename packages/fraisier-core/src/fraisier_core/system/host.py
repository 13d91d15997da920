"""This host: its name in the record, its clocks, and which of its processes live."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fraisier_core.system.processes import ProcessIdentity

LOCAL = "local"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return the id of this boot of the machine: every process recorded under another one is gone."""
    return _BOOT_ID.read_text().strip()


def has_systemd() -> bool:
    """Whether systemd has started this host, and can be asked to start units."""
    return Path("/run/systemd/system").is_dir()


def host_zone() -> str:
    """Return the time zone of this host, whatever this process was told."""
    name = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")[2]
    return name if name and (Path("/usr/share/zoneinfo") / name).is_file() else "UTC"


def utc_now() -> str:
    """Return the current time in UTC with six digits, such as `2026-01-31T12:00:00.000000Z`."""
    return utc_text(datetime.now(UTC))


def utc_text(at: datetime) -> str:
    """Return a time as `utc_now` does; it has to know its time zone."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Host:
    """A host as leases and serving releases name it; every process of another boot than its own is gone."""

    name: str = LOCAL
    boot_id: str = field(default_factory=boot_id)

    def seconds(self) -> float:
        """Return seconds since it booted, suspended ones included; no change of the clock matters."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def is_alive(self, boot: str, process: ProcessIdentity) -> bool:
        """Whether a process that was recorded in the boot `boot` still runs."""
        return boot == self.boot_id and process.is_alive()

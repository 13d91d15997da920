"""Which of the backups at a place is the newest: for a restore, a restore test and pruning alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.places import Listing

TO_COME = "its time is yet to come"


def past(manifests: Sequence[Manifest], now: datetime) -> Sequence[Manifest]:
    """Return those that are not of a time that is yet to come: they count for nothing, by a wrong clock."""
    return [each for each in manifests if each.created_at <= now]


def newest(listing: Listing, now: datetime) -> Manifest | None:
    """Return the newest backup, None if there is none. Raises `BackupError` if none is known to be that."""
    found = past(listing.manifests, now)
    if listing.manifests and not found:
        raise BackupError(
            "all backups are of a time that is yet to come: the clock was wrong; run fraisier backup"
        )
    name = found[-1].manifest_file if found else ""
    if later := listing.newest_unreadable(name):
        raise BackupError(f"the newest manifest, {later}, cannot be read: {listing.unreadable[later]}")
    return found[-1] if found else None

"""The manifests that were read from a repository of restic, kept on this host: to read one takes a second."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.manifest import SUFFIX, Manifest
from fraisier_deployers.backup.places import NAMELESS, Listing
from fraisier_deployers.backup.restic_snapshots import MANIFEST, Snapshot, Snapshots

UNREADABLE = "restic cannot read it; it may be of any backup: see what `restic check` says"
_ID = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ReadManifests:
    """Manifests by the ids of their snapshots, which never change. What cannot be kept is read again.

    Args:
        folder: where they are kept.
    """

    folder: Path

    def listing(self, snapshots: Snapshots, read: Callable[[Snapshot, str], Manifest]) -> Listing:
        """Return what lies in a repository.

        Args:
            snapshots: there.
            read: reads the manifest of a snapshot, by its name. Raises `BackupError`.
        """
        manifests = []
        unreadable = {f"{NAMELESS}{each[:8]}": UNREADABLE for each in snapshots.unreadable}
        self.retain({each.id for each in snapshots.readable})
        for snapshot in snapshots.readable:
            if not snapshot.has(MANIFEST):
                continue
            name = next((tag for tag in snapshot.tags if tag.endswith(SUFFIX)), f"{snapshot.id[:8]}{SUFFIX}")
            try:
                manifests.append(self.get(snapshot.id, name) or read(snapshot, name))
            except BackupError as error:
                unreadable[name] = str(error)
        return Listing(tuple(sorted(manifests, key=lambda each: (each.created_at, each.name))), unreadable)

    def get(self, snapshot: str, name: str) -> Manifest | None:
        """Return the manifest of a snapshot, None if it is not kept, or was cut."""
        with suppress(BackupError, OSError):
            if _ID.fullmatch(snapshot):
                return Manifest.parse(self._file(snapshot).read_bytes(), name)
        return None

    def keep(self, snapshot: str, manifest: Manifest) -> None:
        """Keep the manifest of a snapshot."""
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file(snapshot).write_text(manifest.text())

    def retain(self, snapshots: Collection[str]) -> None:
        """Keep no others than those of these snapshots."""
        with suppress(OSError):
            for file in self.folder.glob("*.json"):
                if file.stem not in snapshots:
                    file.unlink(missing_ok=True)

    def _file(self, snapshot: str) -> Path:
        return self.folder / f"{snapshot}.json"

"""The manifests that were read from a repository of restic, kept on this host: to read one takes a second."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.manifest import Manifest

_ID = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ReadManifests:
    """Manifests by the ids of their snapshots, which never change. What cannot be kept is read again.

    Args:
        folder: where they are kept.
    """

    folder: Path

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

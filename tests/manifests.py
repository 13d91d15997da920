"""Manifests of backups that were never made, for tests of the places where copies lie."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from fraisier_deployers.backup.manifest import CommandFacts, Manifest, backup_name
from fraisier_deployers.backup.places import Place


def night(day: int) -> datetime:
    """Return when the backup of a day in November 2026 was begun."""
    return datetime(2026, 11, day, 2, 30, tzinfo=UTC)


def manifest_of(content: bytes, begun: datetime, **changes: object) -> Manifest:
    """Return the manifest of a backup of `shop production` by the installation `here`.

    Args:
        content: what lies there.
        begun: when the backup was begun.
        changes: other values of its fields; the backup is named after these.
    """
    digest = hashlib.sha256(content).hexdigest()
    fields: dict[str, object] = {
        "fraise": "shop",
        "environment": "production",
        "host": "db1",
        "installation": "here",
        "created_at": begun,
        "deployment_id": "0123ABCD",
        "size": len(content),
        "sha256": digest,
        "plain_size": len(content),
        "plain_sha256": digest,
        "facts": CommandFacts(),
    } | changes
    of, where, run = (str(fields[key]) for key in ("fraise", "environment", "deployment_id"))
    name = backup_name(of, where, begun, run)
    return Manifest.model_validate({"name": name, "file": f"{name}.bin", **fields})


def put(place: Place, folder: Path, content: bytes, begun: datetime, **changes: object) -> Manifest:
    """Store a copy at a place, made in a folder, and return its manifest."""
    file = folder / "made here"
    file.write_bytes(content)
    manifest = manifest_of(content, begun, **changes)
    place.put(file, manifest)
    return manifest

"""Bringing copies of a backup to the places elsewhere, and back from there."""

from __future__ import annotations

from pathlib import Path

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.backup_settings import EncryptSection
from fraisier_deployers.backup.encrypting import decrypted, encrypted
from fraisier_deployers.backup.local_place import hashed_by
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.places import Place, Runner, StoredFile


def copy(
    place: Place,
    file: Path,
    manifest: Manifest,
    encrypt: EncryptSection | None,
    *,
    folder: Path,
    runner: Runner,
) -> Manifest:
    """Store a copy of a file at a place elsewhere, and return its manifest. Raises `BackupError`.

    Args:
        place: where.
        file: the file of the local copy.
        manifest: of the local copy.
        encrypt: for whom it is encrypted, None to copy it as it is.
        folder: where an encrypted copy is made, until it is stored.
        runner: runs what encrypts it.
    """
    if encrypt is None:
        place.put(file, manifest)
        return manifest
    copied, its_manifest = encrypted(file, manifest, encrypt, folder, runner)
    try:
        place.put(copied, its_manifest)
    finally:
        copied.unlink(missing_ok=True)
    return its_manifest


def fetched(
    place: Place, manifest: Manifest, encrypt: EncryptSection | None, *, folder: Path, runner: Runner
) -> Path:
    """Return the file of a backup as it was made: brought from a place, verified, decrypted.

    Args:
        place: where the copy is.
        manifest: of that copy.
        encrypt: has the secret key, if the copy is encrypted.
        folder: an empty one, with room for the file twice if it is encrypted.
        runner: runs what decrypts it.

    Raises `BackupError`, also if the copy is not as its manifest says.
    """
    file = place.fetch(manifest, folder)
    found = hashed_by(runner, file)
    if found != StoredFile(manifest.size, manifest.sha256):
        raise BackupError(
            f"{manifest.file} from {place.destination} is damaged: it has {found.size} bytes and the SHA-256"
            f" {found.sha256}; its manifest says {manifest.size} and {manifest.sha256}"
        )
    return decrypted(file, manifest, encrypt, folder, runner) if manifest.encrypted else file

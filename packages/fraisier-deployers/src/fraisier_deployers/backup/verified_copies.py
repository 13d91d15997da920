"""Whether a copy of a backup is at a place as its manifest says: listed, of that size, with that checksum."""

from __future__ import annotations

from collections.abc import Callable

from fraisier_core import CommandFailedError, VerifiedCopy

from fraisier_deployers.backup.backup_errors import BackupError, DamagedCopyError, UnusableCopyError
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.places import Listing, Place


def verify(place: Place, manifest: Manifest) -> Listing:
    """Return what the place lists. Raises `BackupError` unless a copy is among that, and what lies there has
    its size and checksum: a `DamagedCopyError` if that was read, and is something else.
    """
    listing = place.manifests()
    _require_listed(place, listing, manifest)
    _require_same(place, manifest)
    return listing


def verified(
    place: Place, manifest: Manifest, require: Callable[[Manifest], None] = lambda _: None
) -> VerifiedCopy:
    """Return what is found of a copy that its place lists: good is what has its size and checksum.

    Args:
        place: where it is.
        manifest: of the copy, as the place says it.
        require: raises `BackupError` if the manifest is not what it should be.
    """
    found = manifest.name, place.name, place.destination
    try:
        require(manifest)
        _require_same(place, manifest)
    except (BackupError, CommandFailedError) as error:
        return VerifiedCopy(*found, str(error), unread=not isinstance(error, UnusableCopyError))
    return VerifiedCopy(*found)


def _require_listed(place: Place, listing: Listing, manifest: Manifest) -> None:
    if why := listing.unreadable.get(manifest.manifest_file):
        raise BackupError(f"{place.destination}: {why}")
    listed = next((each for each in listing.manifests if each.name == manifest.name), None)
    if listed is None:
        raise BackupError(f"{place.destination} does not list {manifest.name}: the copy did not stay there")
    if listed != manifest:
        raise DamagedCopyError(f"{place.destination} has another manifest of {manifest.name} than was stored")


def _require_same(place: Place, manifest: Manifest) -> None:
    stored, where = place.stored(manifest), f"{manifest.file} at {place.destination}"
    if stored.size != manifest.size:
        raise DamagedCopyError(
            f"{where} has {stored.size} bytes, its manifest says {manifest.size}: do not use it"
        )
    if stored.sha256 != manifest.sha256:
        raise DamagedCopyError(
            f"{where} is damaged: its SHA-256 is {stored.sha256}, its manifest says {manifest.sha256}"
        )

"""Whether a copy of a backup is at a place as its manifest says: listed, of that size, with that checksum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fraisier_core import CommandFailedError

from fraisier_deployers.backup.backup_errors import BackupError, DamagedCopyError
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.places import Listing, Place


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one copy.

    Args:
        name: of the backup, or of a manifest that cannot be read.
        place: what the configuration calls the place.
        problem: what is wrong with the copy, None if it is good.
    """

    name: str
    place: str
    problem: str | None = None


def verify(place: Place, manifest: Manifest) -> None:
    """Raise `BackupError` unless the place lists a copy, and what lies there has its size and checksum:
    a `DamagedCopyError` if that was read, and is something else.
    """
    _require_listed(place, place.manifests(), manifest)
    _require_same(place, manifest)


def findings(place: Place, fraise: str, environment: str) -> Iterator[Finding]:
    """Verify every copy of an environment at a place, oldest first; first come the manifests that cannot be
    read. Raises `BackupError` if the place cannot be listed.
    """
    listing = place.manifests().of(fraise, environment)
    for name, why in sorted(listing.unreadable.items()):
        yield Finding(name, place.name, why)
    for manifest in listing.manifests:
        yield Finding(manifest.name, place.name, problem_of(place, manifest))


def problem_of(place: Place, manifest: Manifest) -> str | None:
    """Return what is wrong with a copy that its place lists, None if it has its size and checksum."""
    try:
        _require_same(place, manifest)
    except (BackupError, CommandFailedError) as error:
        return str(error)
    return None


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

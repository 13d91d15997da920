"""Which copy a command means: of which backup, and at which place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from fraisier_core import CommandFailedError, UnknownNameError

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.newest import newest
from fraisier_deployers.backup.places import Listing, Place


def matching(manifests: Sequence[Manifest], name: str | None) -> Sequence[Manifest]:
    """Return the backups that a name or a part of it means, all without one. Raises `UnknownNameError` if a
    part is of several.
    """
    if name is None:
        return manifests
    exact = [each for each in manifests if each.name == name]
    found = exact or [each for each in manifests if name in each.name]
    if len(found) > 1:
        listed = "".join(f"\n  {each.name}" for each in found)
        raise UnknownNameError(f'"{name}" is ambiguous: several backups match; there are:{listed}')
    return found


def chosen_copy(
    places: Sequence[Place],
    listed: Callable[[Place], Listing],
    name: str | None,
    note: Callable[[str], None],
) -> tuple[Place, Manifest]:
    """Return the first place that has a copy of a backup, and its manifest.

    Args:
        places: where to look, in this order.
        listed: lists what a place holds of the environment that is meant.
        name: of the backup or a part of that; the newest if it is None.
        note: is told of places that cannot be listed.

    Raises `BackupError` if none of them can be listed, or its newest manifest cannot be read, and
    `UnknownNameError` if none has a copy.
    """
    problems = []
    for place in places:
        try:
            listing = listed(place)
        except (BackupError, CommandFailedError) as error:
            problems.append(str(error))
            note(str(error))
            continue
        found = matching(listing.manifests, name) if name else _newest(place, listing)
        if found:
            return place, found[-1]
    if len(problems) == len(places):
        raise BackupError("; ".join(problems))
    where = ", ".join(place.destination for place in places)
    raise UnknownNameError(f'there is no backup "{name}" in {where}' if name else f"no backup is in {where}")


def _newest(place: Place, listing: Listing) -> Sequence[Manifest]:
    try:
        found = newest(listing, datetime.now(UTC))
    except BackupError as error:
        raise BackupError(f"{place.destination}: {error}; or name a backup") from error
    return [found] if found else []

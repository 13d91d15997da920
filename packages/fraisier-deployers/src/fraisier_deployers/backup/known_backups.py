"""What this host knows of its backups: what a place elsewhere says of its copies is compared with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from fraisier_deployers.backup.backup_errors import BackupError, DamagedCopyError
from fraisier_deployers.backup.backup_settings import EncryptSection
from fraisier_deployers.backup.local_place import LocalPlace
from fraisier_deployers.backup.manifest import Manifest
from fraisier_deployers.backup.places import Place
from fraisier_deployers.backup.restic import ResticPlace

NOT_ON_RECORD = "is not on record here, and no copy on this host is of it"


@dataclass(frozen=True, slots=True)
class KnownBackups:
    """The backups of an environment that this host knows.

    Args:
        on_record: returns the SHA-256 of what a backup stored, by its name, None if it is not on record.
        here: the manifests of the copies on this host.
        encrypt: how copies elsewhere are encrypted, None if they are not.
    """

    on_record: Callable[[str], str | None]
    here: Sequence[Manifest]
    encrypt: EncryptSection | None

    @classmethod
    def of(
        cls, first: Place, encrypt: EncryptSection | None, on_record: Callable[[str], str | None]
    ) -> KnownBackups:
        """Return what is known, also by the copies of the first place if they lie on this host."""
        here: Sequence[Manifest] = ()
        if isinstance(first, LocalPlace):
            with suppress(BackupError):
                here = first.manifests().manifests
        return cls(on_record, here, encrypt)

    def knows(self, place: Place, manifest: Manifest) -> bool:
        """Return whether it is known here what a copy is of; restic knows by itself. Raises
        `DamagedCopyError` if the copy is of something else, or anybody may have made it.
        """
        where = f"{manifest.name} at {place.destination}"
        recorded = self.on_record(manifest.name)
        own = next((each for each in self.here if each.name == manifest.name), None)
        if recorded not in {None, manifest.plain_sha256} or (own and not manifest.is_copy_of(own)):
            raise DamagedCopyError(
                f"{where} is not what was backed up, by what this host knows: do not use it"
            )
        if recorded or own or isinstance(place, ResticPlace):
            return True
        if self.encrypt and not manifest.encrypted and not isinstance(place, LocalPlace):
            raise DamagedCopyError(
                f"{where} is not encrypted, though encrypt is set, and {NOT_ON_RECORD}: who may write there "
                "may have made it. If it is older than encrypt is, take that out to read it"
            )
        return False

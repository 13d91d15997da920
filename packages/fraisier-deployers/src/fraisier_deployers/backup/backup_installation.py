"""What stays on this host between an environment's backups: who makes them, and where they were stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from fraisier_core import replace_file, sync_directory

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.places import Listing, Place
from fraisier_deployers.backup.restic import ResticPlace

_ID, _PLACES = "installation", "places"


@dataclass(frozen=True, slots=True)
class Installation:
    """One of perhaps several that make backups of the same name, each of its own environment.

    Args:
        folder: the environment's own that stays between runs; it is made when something is to stay.
    """

    folder: Path

    @property
    def id(self) -> str:
        """What no other installation has, whatever their hosts are called. Raises `BackupError`."""
        file = self.folder / _ID
        with _problems(file):
            if not file.exists():
                _create(file, uuid4().hex)
            return file.read_text().strip()

    def require_filled(self, place: Place, listing: Listing) -> None:
        """Raise `BackupError` if a place holds nothing of the environment, though something was stored there:
        its disk is not mounted, perhaps, and a backup would begin anew beneath.

        Args:
            place: where.
            listing: what it holds of the environment.
        """
        if not listing.manifests and not listing.unreadable and (name := self.newest_at(place)):
            raise BackupError(
                f"{place.destination} holds no backup of this environment, though {name} was stored there: "
                f"is its disk mounted? {self.forgetting(place)}"
            )

    def forgetting(self, place: Place) -> str:
        """Return how backups begin anew at a place."""
        return f"If backups are to begin anew there, delete {self._of_place(place)}"

    def newest_at(self, place: Place) -> str | None:
        """Return the name of the backup that was stored last at a place, None if none was. Raises
        `BackupError`.
        """
        file = self._of_place(place)
        with _problems(file), suppress(FileNotFoundError):
            identity, _, name = file.read_text().partition("\n")
            return name.strip() if identity == self._identity(place) and name.strip() else None
        return None

    def remember(self, place: Place, name: str) -> None:
        """Remember that a backup is stored at a place. Raises `BackupError`."""
        file = self._of_place(place)
        with _problems(file):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(file, f"{self._identity(place)}\n{name}\n")

    def _identity(self, place: Place) -> str:
        """Return what tells a place from others, without a secret."""
        if not isinstance(place, ResticPlace):
            return place.destination
        return sha256(f"{self.id}\n{place.repository.get_secret_value()}".encode()).hexdigest()

    def _of_place(self, place: Place) -> Path:
        return self.folder / _PLACES / place.name


def _create(file: Path, text: str) -> None:
    """Write a file, unless another process is faster."""
    new = file.with_name(f".{file.name}.{uuid4().hex[:8]}")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(new, text)
    with suppress(FileExistsError):
        file.hardlink_to(new)
    new.unlink()
    sync_directory(file.parent)


@contextmanager
def _problems(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"{error.filename or file}: {error.strerror or error}") from error

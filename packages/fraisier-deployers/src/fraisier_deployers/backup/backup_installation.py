"""What stays on this host between an environment's backups: who makes them, and where they were stored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.places import Listing, Place

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
                _link(file, uuid4().hex)
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
            destination, _, name = file.read_text().partition("\n")
            return name.strip() if destination == place.destination and name.strip() else None
        return None

    def remember(self, place: Place, name: str) -> None:
        """Remember that a backup is stored at a place. Raises `BackupError`."""
        file = self._of_place(place)
        with _problems(file), _partial(file, f"{place.destination}\n{name}\n") as partial:
            partial.replace(file)

    def _of_place(self, place: Place) -> Path:
        return self.folder / _PLACES / place.name


def _link(file: Path, text: str) -> None:
    """Write a file, unless another process is faster."""
    with _partial(file, text) as partial, suppress(FileExistsError):
        file.hardlink_to(partial)


@contextmanager
def _partial(file: Path, text: str) -> Iterator[Path]:
    """Yield a new file beside another, for as long as the context lasts."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{uuid4().hex[:8]}.partial")
    try:
        with partial.open("w") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _problems(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"{error.filename or file}: {error.strerror or error}") from error

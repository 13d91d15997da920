"""A place elsewhere, of which this host notes what it stores and deletes there until that is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fraisier_core import replace_file

from fraisier_deployers.backup.backup_errors import BackupError
from fraisier_deployers.backup.manifest import SUFFIX, Manifest
from fraisier_deployers.backup.places import Listing, Place, StoredFile


@dataclass(frozen=True, slots=True)
class NotedPlace:
    """A place where what was cut off is deleted before the next copy is stored: data without a manifest, of
    which it is noted that it came from here. Other data without one is left alone.

    Args:
        place: the place itself, which the environment uses exclusively while something is stored or deleted.
        folder: where the notes lie, of this place of the environment alone.
    """

    place: Place
    folder: Path

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self.place.name

    @property
    def destination(self) -> str:
        """Where it is."""
        return self.place.destination

    @property
    def unfinished(self) -> frozenset[str]:
        """The files of copies that are being stored or deleted from here, or were when that was cut off."""
        manifests = (_noted(note) for note in self.folder.glob(f"*{SUFFIX}"))
        return frozenset(each.file for each in manifests if each is not None)

    def manifests(self) -> Listing:
        """Return what lies there."""
        return self.place.manifests()

    def put(self, file: Path, manifest: Manifest) -> None:
        """Store a copy, after what was cut off before it is deleted."""
        with suppress(BackupError, OSError):  # it is still named wherever the place is listed
            self._delete_cut_off()
        with self._noted(manifest):
            self.place.put(file, manifest)

    def stored(self, manifest: Manifest) -> StoredFile:
        """Return what lies there as the file of a copy."""
        return self.place.stored(manifest)

    def fetch(self, manifest: Manifest, folder: Path) -> Path:
        """Return the path of the copy's file, brought to `folder`."""
        return self.place.fetch(manifest, folder)

    def delete(self, *manifests: Manifest) -> None:
        """Delete copies."""
        with ExitStack() as noting:
            for manifest in manifests:
                noting.enter_context(self._noted(manifest))
            self.place.delete(*manifests)

    def _delete_cut_off(self) -> None:
        notes = sorted(self.folder.glob(f"*{SUFFIX}"))
        lone = self.place.manifests().unreadable if notes else {}
        noted = [manifest for note in notes if (manifest := _noted(note)) and manifest.file in lone]
        if noted:
            self.place.delete(*noted)
        for note in notes:
            note.unlink(missing_ok=True)

    @contextmanager
    def _noted(self, manifest: Manifest) -> Iterator[None]:
        """Have a note of a copy for as long as the context lasts, and longer if something is raised."""
        note = self.folder / manifest.manifest_file
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(note, manifest.text())
        except OSError as error:
            raise BackupError(f"{error.filename}: {error.strerror}") from error
        yield
        note.unlink(missing_ok=True)


def _noted(note: Path) -> Manifest | None:
    """Return of which copy a note is, None if it cannot be read or is gone: what it is of is still listed."""
    try:
        return Manifest.parse(note.read_bytes(), note.name)
    except (BackupError, FileNotFoundError):
        return None

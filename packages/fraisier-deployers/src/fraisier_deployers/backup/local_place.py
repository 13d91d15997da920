"""The folder on this host where copies of backups lie."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fraisier_core import replace_file, sync_directory

from fraisier_deployers.backup.backup_errors import BackupError, UnusableCopyError
from fraisier_deployers.backup.backup_settings import LOCAL
from fraisier_deployers.backup.held_folder import is_held
from fraisier_deployers.backup.manifest import MOST_BYTES, SUFFIX, Manifest, backup_of, is_of
from fraisier_deployers.backup.pipeline import Pipeline
from fraisier_deployers.backup.pipelines import run_pipeline
from fraisier_deployers.backup.places import Listing, Runner, StoredFile
from fraisier_deployers.backup.removal import remove_folder

PARTIAL = ".partial"
"""Ends the hidden names of what is not whole."""
_READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """The folder `path:`, which must be on this host.

    Args:
        folder: made when the first copy is stored, for its owner alone.
        runner: runs what reads a large file, so that this can be followed and cancelled.
    """

    folder: Path
    runner: Runner | None = None

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return LOCAL

    @property
    def destination(self) -> str:
        """Where it is."""
        return str(self.folder)

    def manifests(self) -> Listing:
        """Return what lies there; an absent folder is empty."""
        with _problems(self.folder):
            files = self.folder.iterdir() if self.folder.exists() else ()
            names = sorted(file.name for file in files if _is_manifest(file.name))
        readable, unreadable = [], {}
        for name in names:
            try:
                readable.append(self._read(name))
            except BackupError as error:
                unreadable[name] = str(error)
        return Listing(tuple(sorted(readable, key=lambda each: (each.created_at, each.name))), unreadable)

    def orphans(self) -> tuple[str, ...]:
        """Return the files that are called as those of backups, and have no manifest; they are left alone."""
        with _problems(self.folder):
            names = {file.name for file in self.folder.iterdir()} if self.folder.exists() else set()
        return tuple(
            sorted(each for each in names if (name := backup_of(each)) and f"{name}{SUFFIX}" not in names)
        )

    def put(self, file: Path, manifest: Manifest) -> None:
        """Store a copy; the file is renamed if it is on the same file system, and moved otherwise. The
        manifest is there hidden before the file, so that what is not whole can be told from what others
        brought.
        """
        text = manifest.text()
        if len(text.encode()) > MOST_BYTES:
            raise BackupError(
                f"{manifest.manifest_file} would be larger than {MOST_BYTES / 1e6:.1f} MB, and could not be "
                "read: its source has too many tables, sequences or paths"
            )
        with _problems(self.folder):
            make_private(self.folder)
            replace_file(self._hidden(manifest.manifest_file), text)
            self._keep(file, manifest.file)
            self._hidden(manifest.manifest_file).rename(self.folder / manifest.manifest_file)
            sync_directory(self.folder)

    def stored(self, manifest: Manifest) -> StoredFile:
        """Return what lies there as the file of a copy, read now, and from the disk."""
        path = self.folder / manifest.file
        if not path.exists():
            raise UnusableCopyError(f"{path}: No such file or directory")
        with _problems(path):
            _drop_cached(path)
            return hashed(path) if self.runner is None else hashed_by(self.runner, path)

    def fetch(self, manifest: Manifest, folder: Path) -> Path:  # noqa: ARG002 - it need not be brought
        """Return the path of the copy's file, where it lies."""
        path = self.folder / manifest.file
        if not path.is_file():
            raise BackupError(f"{path} is missing: the backup {manifest.name} cannot be read from here")
        return path

    def delete(self, *manifests: Manifest) -> None:
        """Delete copies: a manifest is hidden first, and shown again if the file cannot be deleted."""
        for manifest in manifests:
            self._delete(manifest)

    def _delete(self, manifest: Manifest) -> None:
        shown, hidden = self.folder / manifest.manifest_file, self._hidden(manifest.manifest_file)
        with _problems(self.folder):
            with suppress(FileNotFoundError):
                shown.rename(hidden)
            sync_directory(self.folder)
            try:
                (self.folder / manifest.file).unlink(missing_ok=True)
            except OSError:
                with suppress(OSError):
                    hidden.rename(shown)
                raise
            sync_directory(self.folder)
            hidden.unlink(missing_ok=True)

    def remove_unfinished(self, fraise: str, environment: str) -> None:
        """Remove what killed processes left of an environment: what is hidden, and the files of copies whose
        manifest is. What cannot be removed stays until the next time, and so does a folder that is held.
        """
        with _problems(self.folder):
            found = self.folder.glob(f".*{PARTIAL}*")
            left = [each for each in found if is_of(each.name.lstrip("."), fraise, environment)]
        for hidden in left:
            with suppress(OSError):
                if hidden.name.endswith(f"{SUFFIX}{PARTIAL}"):
                    self._remove_unlisted(hidden.name[1:].removesuffix(PARTIAL))
                if hidden.is_dir() and not hidden.is_symlink():
                    if not is_held(hidden):
                        remove_folder(hidden)
                else:
                    hidden.unlink(missing_ok=True)

    def _remove_unlisted(self, manifest_file: str) -> None:
        if not (self.folder / manifest_file).exists():
            for path in self.folder.iterdir():
                if f"{backup_of(path.name)}{SUFFIX}" == manifest_file:
                    path.unlink(missing_ok=True)

    def _hidden(self, name: str) -> Path:
        return self.folder / f".{name}{PARTIAL}"

    def _read(self, name: str) -> Manifest:
        path = self.folder / name
        with _problems(path):
            if path.stat().st_size > MOST_BYTES:
                raise BackupError(f"{name} is no manifest: it is too large")
            return Manifest.parse(path.read_bytes(), name)

    def _keep(self, file: Path, name: str) -> None:
        if file.stat().st_dev != self.folder.stat().st_dev:
            file = Path(shutil.move(file, self._hidden(name)))
        file.chmod(0o600)
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
        file.rename(self.folder / name)
        sync_directory(self.folder)


def hashed(path: Path) -> StoredFile:
    """Return the size and the checksum of a file of this host, read now. Raises `OSError`."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(_READ_BYTES))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            size += count
    return StoredFile(size, digest.hexdigest())


def hashed_by(runner: Runner, path: Path) -> StoredFile:
    """Return the same, read by a process that can be followed and cancelled. Raises `BackupError`."""
    flowed = run_pipeline(runner, Pipeline(str(path), output=os.devnull))
    return StoredFile(flowed.size, flowed.sha256)


def make_private(folder: Path) -> None:
    """Make a folder that its owner alone may enter; one that is there is left alone. The folder that it is in
    is never made: its disk may not be mounted. Raises `BackupError`, also if others could exchange what lies
    in the folder, and `OSError`.
    """
    if not folder.parent.is_dir():
        raise BackupError(f"{folder.parent} is missing: mount its disk, or make it")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.stat()
    if found.st_uid not in {0, os.geteuid()}:
        raise BackupError(
            f"{folder} belongs to another user, who could exchange backups: chown it, or if that is refused, "
            "mount it for this user, or name a folder in it that this user makes"
        )
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise BackupError(
            f"{folder} is writable for everyone, who could exchange backups: chmod o-w it, or if that has no "
            "effect, mount it with umask=022"
        )


def _drop_cached(path: Path) -> None:
    """Have what is read next come from the disk: what was written just now is still in memory."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _is_manifest(name: str) -> bool:
    return name.endswith(SUFFIX) and not name.startswith(".")


@contextmanager
def _problems(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"{error.filename or path}: {error.strerror or error}") from error

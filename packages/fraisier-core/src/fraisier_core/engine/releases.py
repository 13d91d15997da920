"""Releases: complete directories side by side; a link points to one of them.

A release is built under a temporary name, made durable, and renamed; the link is replaced by a new one in a
single step. Whatever a crash interrupts, the link points to a complete release, and `sweep` removes the rest.

Failpoints (see `faults`): `after_checkout` before the rename, `before_swap` between the temporary link and
its rename, `after_swap` right after that.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from fraisier_core.errors import AppPathRefusedError, StepFailedError
from fraisier_core.git.clones import Clone
from fraisier_core.release import Release
from fraisier_core.system.disk import cause, sync_directory, sync_filesystem
from fraisier_core.system.failpoints import failpoint

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_OWN_LINK = "current"  # if there is no app_path
_TEMPORARY, _TRASH, _COMMIT = ".tmp-", ".trash-", ".commit-"


class DeploymentMode(Enum):
    """How an environment is deployed; the disk decides."""

    RELEASES = "releases"
    IN_PLACE = "in place"


class Releases:
    """The releases of one environment. One process at a time may change them.

    Args:
        root: the directory they lie in.
        app_path: where the link to the current one lies; None for `current` in `root`.
    """

    def __init__(self, root: Path, app_path: Path | None) -> None:
        self.root = root
        self.link = root / _OWN_LINK if app_path is None else app_path

    def deployment_mode(self) -> DeploymentMode:
        """Return how this environment is deployed, changing nothing.

        Raises `AppPathRefusedError` if `app_path` is neither absent, nor a link of ours, nor a clone, or
        if no link could be put there.
        """
        try:
            if not os.path.lexists(self.link) or self._is_own_link():
                self._require_writable_parent()
                return DeploymentMode.RELEASES
            if Clone.is_clone(self.link):
                _require_trusted(self.link, self.link / ".git")
                return DeploymentMode.IN_PLACE
        except OSError as error:
            raise AppPathRefusedError(f"cannot inspect {self.link}: {error.strerror}") from error
        raise AppPathRefusedError(
            f"{self.link} is {self._kind()}; only its own links are replaced. "
            "Move it away, or make it a clone to deploy in place"
        )

    def create(self, name: str, commit: str, fill: Callable[[Path], None]) -> Release:
        """Return a new release that is complete and durable.

        Args:
            name: its name, not taken yet.
            commit: full id of its commit.
            fill: writes its files into the empty directory it is given.

        Raises `AppPathRefusedError` if the name is taken, `StepFailedError` if the disk refuses, and
        whatever else `fill` raises; what was written of it is deleted then.
        """
        final, temporary = self._path(name), self.root / f"{_TEMPORARY}{name}"
        with _explained(f"release {name} cannot be written"):
            self.root.mkdir(parents=True, exist_ok=True)
            _require_absent(final)
            _require_absent(temporary)
            temporary.mkdir(mode=0o700)
            try:
                fill(temporary)
                self._complete(temporary, name, commit)
            except BaseException:
                _delete(temporary)
                raise
            failpoint("after_checkout")
            temporary.rename(final)
            sync_directory(self.root)
        return Release(name, final, commit)

    def get(self, name: str) -> Release | None:
        """Return a complete release, None if there is none of that name."""
        path = self._path(name)
        try:
            commit = self._commit_file(name).read_text()
        except FileNotFoundError:
            return None
        return Release(name, path, commit) if path.is_dir() and not path.is_symlink() else None

    def current(self) -> str | None:
        """Return the name of the release that the link points to, None if there is no link of ours."""
        target = self._target()
        return target.name if target is not None and target.parent == self._real_root() else None

    def activate(self, release: Release) -> None:
        """Point the link at a release, in one step: a reader sees either the old one or the new one.

        Raises `AppPathRefusedError` if something that is not ours lies there, and `StepFailedError` if
        the link cannot be written.
        """
        self._require_replaceable()
        with _explained(f"the link {self.link} cannot be written"):
            self.link.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.link.with_name(f"{self._temporary_link}{secrets.token_hex(6)}")
            temporary.symlink_to(release.path.absolute())
            failpoint("before_swap")
            temporary.replace(self.link)
            failpoint("after_swap")
            sync_directory(self.link.parent)

    def deactivate(self) -> None:
        """Remove the link, as before the first deployment."""
        if self._is_own_link():
            self.link.unlink()
            sync_directory(self.link.parent)

    def sweep(self) -> None:
        """Remove what an interrupted deployment left behind: half-made releases, half-deleted ones, links."""
        self.empty_trash()
        for entry in _entries(self.root):
            if entry.name.startswith(_TEMPORARY):
                _delete(entry)
            elif entry.name.startswith(_COMMIT) and not self._path(entry.name.removeprefix(_COMMIT)).exists():
                entry.unlink()
        for entry in _entries(self.link.parent):
            if entry.name.startswith(self._temporary_link) and self._leads_here(entry):
                entry.unlink()

    def prune(self, keep: int, protected: set[str], order: Sequence[str]) -> list[str]:
        """Set old releases aside, and return their names; `empty_trash` deletes them, which takes longer.

        Args:
            keep: how many to keep.
            protected: never removed, like the current one.
            order: their names, the one to be kept longest first; those not in it are removed first.
        """
        here = [
            entry.name
            for entry in _entries(self.root)
            if _NAME.fullmatch(entry.name) and not entry.is_symlink()
        ]
        ordered = [*(name for name in order if name in here), *(name for name in here if name not in order)]
        doomed = [name for name in ordered[keep:] if name not in protected and name != self.current()]
        for name in doomed:
            trash = self.root / f"{_TRASH}{name}-{secrets.token_hex(6)}"
            self._path(name).rename(trash)
            self._commit_file(name).unlink(missing_ok=True)
        return doomed

    def empty_trash(self) -> None:
        """Delete what `prune` set aside; safe at any time, and beside another process that does so."""
        for entry in _entries(self.root):
            if entry.name.startswith(_TRASH):
                _delete(entry)

    @property
    def _temporary_link(self) -> str:
        return f".{self.link.name}.tmp-"

    def _path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None or name == _OWN_LINK:
            raise AppPathRefusedError(f"invalid release name {name[:80]!r}")
        return self.root / name

    def _commit_file(self, name: str) -> Path:
        return self.root / f"{_COMMIT}{name}"

    def _complete(self, directory: Path, name: str, commit: str) -> None:
        directory.chmod(0o755)
        self._commit_file(name).write_text(commit)
        sync_filesystem(directory)

    def _real_root(self) -> Path:
        return self.root.resolve()

    def _target(self, link: Path | None = None) -> Path | None:
        """Return what a link names, the folder it lies in resolved but not the release itself."""
        try:
            target = Path(link or self.link).readlink()
        except OSError:
            return None
        target = self.link.parent / target
        return target.parent.resolve() / target.name

    def _leads_here(self, link: Path) -> bool:
        target = self._target(link)
        return target is not None and target.parent == self._real_root()

    def _is_own_link(self) -> bool:
        return self._leads_here(self.link)

    def _require_replaceable(self) -> None:
        if os.path.lexists(self.link) and not self._is_own_link():
            raise AppPathRefusedError(
                f"{self.link} is {self._kind()}, and Fraisier did not make it; move it away"
            )

    def _kind(self) -> str:
        if self.link.is_symlink():
            return f"a link to {self.link.readlink()}"
        return "a directory" if self.link.is_dir() else "a file"

    def _require_writable_parent(self) -> None:
        parent = next(folder for folder in self.link.parents if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise AppPathRefusedError(
                f"the link {self.link} cannot be made: {parent} is not writable for the "
                "user that runs Fraisier; give it that right, or create the folder for it"
            )
        if self.link.is_symlink():
            _require_trusted(self.link)
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise AppPathRefusedError(
                f"{parent} is writable for everyone, who could then replace {self.link}; "
                f"run: chmod o-w {parent}"
            )


def _require_trusted(*paths: Path) -> None:
    """Refuse what another user made: a clone's configuration runs commands, and a link may point anywhere."""
    for path in paths:
        owner = path.lstat().st_uid
        if owner not in {0, os.geteuid()}:
            raise AppPathRefusedError(
                f"{path} belongs to user {owner}, and could make the user that runs Fraisier run anything; "
                f"if it is meant, run: chown -R {os.geteuid()} {path}"
            )


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StepFailedError(cause(f"{what}: {error}")) from error


def _require_absent(path: Path) -> None:
    if os.path.lexists(path):
        raise AppPathRefusedError(f"{path} is in the way of a new release; remove it if nothing needs it")


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir(), reverse=True)
    except FileNotFoundError:
        return []


def _delete(path: Path) -> None:
    """Delete what can be deleted; the next `sweep` tries again."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():  # build caches are full of directories that are read-only
        for directory, _, _ in os.walk(path):
            with suppress(OSError):
                Path(directory).chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)

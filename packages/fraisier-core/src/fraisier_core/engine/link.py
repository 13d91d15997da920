"""The link at `app_path`, which points to the active release.

It is replaced by a new one in a single step: a reader sees either the old release or the new one.

Failpoints: `before_swap` between the temporary link and its rename, `after_swap` right after that.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fraisier_core.engine.releases import entries, explained
from fraisier_core.errors import AppPathRefusedError
from fraisier_core.git.clones import Clone
from fraisier_core.git.ownership import require_own, require_own_clone
from fraisier_core.release import Release
from fraisier_core.system.disk import make_folder, sync_directory
from fraisier_core.system.failpoints import failpoint


class Link:
    """The link at `app_path` to one of the releases in `root`; one process at a time may change it."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self._root = root
        self._temporary = f".{path.name}.tmp-"

    def is_clone(self) -> bool:
        """Return whether a clone is in its place; raises `AppPathRefusedError` if anything else is."""
        try:
            if not os.path.lexists(self.path) or self._is_ours(self.path):
                self._require_writable_parent()
                return False
            if Clone.is_clone(self.path):
                require_own_clone(self.path)
                return True
        except OSError as error:
            raise AppPathRefusedError(f"cannot inspect {self.path}: {error.strerror}") from error
        raise AppPathRefusedError(
            f"{self._found()}; only its own links are replaced. "
            "Move it away, or make it a clone to deploy in place"
        )

    def current(self) -> str | None:
        """Return the name of the release that the link points to, None if there is no link of ours."""
        return self.path.readlink().name if self._is_ours(self.path) else None

    def activate(self, release: Release) -> None:
        """Point the link at a release. Raises `AppPathRefusedError` or `StepFailedError`."""
        if os.path.lexists(self.path) and not self._is_ours(self.path):
            raise AppPathRefusedError(f"{self._found()}, and Fraisier did not make it; move it away")
        with explained(f"the link {self.path} cannot be written"):
            make_folder(self.path.parent)
            temporary = self.path.with_name(f"{self._temporary}{os.urandom(6).hex()}")
            temporary.symlink_to(release.path.absolute())
            failpoint("before_swap")
            temporary.replace(self.path)
            failpoint("after_swap")
            sync_directory(self.path.parent)

    def remove(self) -> None:
        """Remove the link, as before the first deployment."""
        if self._is_ours(self.path):
            self.path.unlink()
            sync_directory(self.path.parent)

    def sweep(self) -> None:
        """Remove the temporary links that an interrupted activation left."""
        for entry in entries(self.path.parent):
            if entry.name.startswith(self._temporary) and self._is_ours(entry):
                entry.unlink()

    def _is_ours(self, link: Path) -> bool:
        """Return whether this is a link to a release, complete or not."""
        if not link.is_symlink():
            return False
        folder = (link.parent / link.readlink()).parent
        return folder == self._root or folder.resolve() == self._root.resolve()

    def _found(self) -> str:
        if self.path.is_symlink():
            return f"{self.path} is a link to {self.path.readlink()}"
        return f"{self.path} is {'a directory' if self.path.is_dir() else 'a file'}"

    def _require_writable_parent(self) -> None:
        parent = next(folder for folder in self.path.parents if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise AppPathRefusedError(
                f"the link {self.path} cannot be made: {parent} is not writable for the "
                "user that runs Fraisier; give it that right, or create the folder for it"
            )
        if self.path.is_symlink():
            require_own(self.path)
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise AppPathRefusedError(
                f"{parent} is writable for everyone, who could then replace {self.path}; "
                f"run: chmod o-w {parent}"
            )

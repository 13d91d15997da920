"""What outlives releases: files and folders that lie beside them and are linked into each.

What is shared is made on first use, never deleted, and never read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from fraisier_core.engine.releases import explained
from fraisier_core.errors import StepFailedError
from fraisier_core.settings import SharedPath
from fraisier_core.system.deletion import delete_tree
from fraisier_core.system.disk import make_folder


class SharedFiles:
    """The files and folders that the releases of one environment share, in the folder `root`."""

    def __init__(self, root: Path, paths: Sequence[SharedPath]) -> None:
        self.paths = paths
        self._root = root

    def check(self) -> None:
        """Raise `StepFailedError` if a file is missing that only a user could make, or is of another kind."""
        if missing := [str(self._place(each)) for each in self.paths if self._is_missing(each)]:
            advice = "make it, or let it begin as a file of the release: {path: .env, default: .env.example}"
            raise StepFailedError(f"shared: {', '.join(missing)} must be there: {advice}")
        for each in self.paths:
            if each.path.endswith("/") and self._place(each).is_file():
                raise StepFailedError(f"shared: {self._place(each)} is a file, and {each.path} a folder")

    def link(self, release: Path) -> None:
        """Link everything into a release that is being made; what is missing is made first. Raises
        `StepFailedError` if the release is in the way of a link.
        """
        for each in self.paths:
            _require_free(release, each)
        with explained("what releases share cannot be made"):
            for each in self.paths:
                if not self._place(each).exists():
                    self._make(each, release)
            for each in self.paths:
                place = release.joinpath(*each.parts)
                if os.path.lexists(place):
                    delete_tree(place)
                make_folder(place.parent)
                place.symlink_to(self._place(each))

    def _place(self, path: SharedPath) -> Path:
        return self._root.joinpath(*path.parts)

    def _is_missing(self, path: SharedPath) -> bool:
        return not (path.is_folder or path.default or self._place(path).exists())

    def _make(self, path: SharedPath, release: Path) -> None:
        place = self._place(path)
        if links := [above for above in _above(self._root, path.parts) if above.is_symlink()]:
            raise StepFailedError(
                f"shared: {path.path} is not made behind a link, which may lead anywhere ({links[0]} is "
                f"one): make {place} if that is meant"
            )
        make_folder(place.parent)
        if path.default is None:
            make_folder(place)
            return
        temporary = place.with_name(f".tmp-{place.name}")
        delete_tree(temporary)
        source = _default(release, path)
        if source.is_dir():
            shutil.copytree(source, temporary, symlinks=True)
        else:
            shutil.copy2(source, temporary)
        temporary.rename(place)


def _require_free(release: Path, path: SharedPath) -> None:
    """Refuse a release that has something else than a folder above the link, or something in its place."""
    for above in _above(release, path.parts):
        if above.is_symlink() or (above.exists() and not above.is_dir()):
            raise StepFailedError(f"shared: {path.path} cannot be linked: {_kind(above)} in the release")
    is_default = path.default is not None and path.default.strip("/") == "/".join(path.parts)
    if os.path.lexists(release.joinpath(*path.parts)) and not is_default:
        plain = "/".join(path.parts)
        raise StepFailedError(
            f"shared: the release itself has {plain}: remove it from the repository, or let it be what "
            f"{plain} begins as: {{path: {path.path}, default: {plain}}}"
        )


def _default(release: Path, path: SharedPath) -> Path:
    """Return what a shared path begins as. Raises `StepFailedError` unless it lies in the release."""
    parts = (path.default or "").strip("/").split("/")
    source = release.joinpath(*parts)
    if any(each.is_symlink() for each in (*_above(release, parts), source)):
        raise StepFailedError(f"shared: {path.default}, the default of {path.path}, is or lies behind a link")
    if not source.exists():
        raise StepFailedError(f"shared: the release has no {path.default}, the default of {path.path}")
    if path.path.endswith("/") and not source.is_dir():
        raise StepFailedError(f"shared: {path.default}, the default of {path.path}, is no folder")
    return source


def _above(root: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield the folders on the way to a path."""
    for count in range(1, len(parts)):
        yield root.joinpath(*parts[:count])


def _kind(path: Path) -> str:
    return f"{path.name} is {'a link' if path.is_symlink() else 'a file'}"

"""Where an environment's releases live: complete releases behind a link, or a clone worked on in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fraisier_core.engine.link import Link
from fraisier_core.engine.releases import Releases
from fraisier_core.engine.shared import SharedFiles
from fraisier_core.errors import StepFailedError
from fraisier_core.git.clones import Clone
from fraisier_core.git.mirrors import Mirror
from fraisier_core.git.trees import shown
from fraisier_core.release import Release


class Workspace(Protocol):
    """How an environment prepares a commit and activates a release; the disk decides which kind it is."""

    in_place: bool

    def check_place(self) -> None:
        """Raise `StepFailedError` if no commit could be deployed; changes nothing."""
        return

    def check_commit(self, commit: str) -> None:  # noqa: ARG002 - most have nothing to refuse
        """Raise `StepFailedError` if a fetched commit could not be deployed; changes nothing."""
        return

    def prepare(self, name: str, commit: str, mirror: Mirror) -> Release:
        """Return a complete release of `commit`."""

    def activate(self, release: Release, deployment_id: str) -> list[str]:
        """Point `app_path` at `release`; return what there is to say of what that replaced."""

    def leave(self, deployment_id: str) -> list[str]:  # noqa: ARG002 - most have nothing to say
        """Return what there is to say of what a deployment replaced, now that it ends."""
        return []

    def withdraw(self) -> None:
        """Point `app_path` at no release, as before the first deployment."""
        return

    def get(self, name: str) -> Release | None:
        """Return a release made earlier, or None if it is gone."""

    def current(self) -> str | None:
        """Return the name of the release that `app_path` points to, or None."""

    def tidy(self, keep: int, healthy: Sequence[str], protected: set[str]) -> None:
        """Set aside what no rollback needs: all but the newest `keep` releases and `protected`."""


class ReleasesWorkspace(Workspace):
    """Complete releases side by side, one of which is active; without a link nothing is switched."""

    in_place = False

    def __init__(self, releases: Releases, link: Link | None, shared: SharedFiles) -> None:
        self._releases = releases
        self._link = link
        self._shared = shared

    def check_place(self) -> None:
        self._shared.check()

    def prepare(self, name: str, commit: str, mirror: Mirror) -> Release:
        self._releases.sweep()
        if self._link is not None:
            self._link.sweep()

        def fill(folder: Path) -> None:
            mirror.export(commit, folder)
            self._shared.link(folder)

        return self._releases.create(name, commit, fill)

    def activate(self, release: Release, deployment_id: str) -> list[str]:  # noqa: ARG002
        if self._link is not None:
            self._link.activate(release)
        return []

    def withdraw(self) -> None:
        if self._link is not None:
            self._link.remove()

    def get(self, name: str) -> Release | None:
        return self._releases.get(name)

    def current(self) -> str | None:
        return self._link.current() if self._link is not None else None

    def tidy(self, keep: int, healthy: Sequence[str], protected: set[str]) -> None:
        current = self.current()
        self._releases.prune(keep, protected | ({current} if current else set()), healthy)


class ClonedWorkspace(Workspace):
    """The clone at `app_path`, worked on in place; a release is named by its commit."""

    in_place = True

    def __init__(self, clone: Clone, mirror: Mirror, shared: SharedFiles) -> None:
        self._clone = clone
        self._mirror = mirror
        self._shared = shared

    def check_place(self) -> None:
        if self._shared.paths:
            raise StepFailedError(
                f"{self._clone.path} is a clone, in which files stay where they are: remove `shared:`, which "
                "is for releases"
            )

    def check_commit(self, commit: str) -> None:
        for clone, its_commit, mirror in self._clone.followed(commit, self._mirror):
            if changed := clone.modified_files():
                _refuse(clone, "changes", changed, "commit or discard them")
            if found := clone.in_the_way(mirror.files(its_commit)):
                _refuse(clone, "untracked files", found, "move them away")

    def prepare(self, name: str, commit: str, mirror: Mirror) -> Release:  # noqa: ARG002 - named by its commit
        self.check_commit(commit)
        mirror.obtain_contents(commit)
        return Release(commit, self._clone.path, commit)

    def activate(self, release: Release, deployment_id: str) -> list[str]:
        return list(map(str, self._clone.bring(release.commit_sha, self._mirror, deployment_id)))

    def leave(self, deployment_id: str) -> list[str]:
        self._clone.leave()
        return list(map(str, self._clone.kept(deployment_id)))

    def get(self, name: str) -> Release | None:
        return Release(name, self._clone.path, name)

    def current(self) -> str | None:
        return self._clone.head()

    def tidy(self, keep: int, healthy: Sequence[str], protected: set[str]) -> None:
        """Do nothing: a clone keeps its own history."""


def _refuse(clone: Clone, what: str, names: Sequence[str], advice: str) -> None:
    listed = shown(", ".join(names[:5]))
    raise StepFailedError(f"{clone.path} has {what} that deploying would lose ({listed}): {advice}")


def open_workspace(
    releases_root: Path, app_path: Path | None, mirror: Mirror, shared: SharedFiles
) -> Workspace:
    """Return the workspace that the disk determines. Raises `AppPathRefusedError` if it is neither."""
    link = Link(app_path, releases_root) if app_path is not None else None
    if link is not None and link.is_clone():
        return ClonedWorkspace(Clone(link.path, mirror), mirror, shared)
    return ReleasesWorkspace(Releases(releases_root), link, shared)

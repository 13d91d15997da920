"""Clones that are deployed in place; the filters in their configuration, such as LFS, are their owner's."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from fraisier_core.errors import StepFailedError
from fraisier_core.git.changes import Changes
from fraisier_core.git.contents import ALL
from fraisier_core.git.filters import lfs_in_place
from fraisier_core.git.local import GitOutput, LocalRepository, full_id
from fraisier_core.git.mirrors import Mirror
from fraisier_core.git.ownership import require_own_clone
from fraisier_core.git.submodules import Submodule, chosen, directory_in
from fraisier_core.git.trees import Tree

_KEPT = "refs/fraisier/kept"
_LEFT = "refs/worktree/fraisier/left"  # another working tree of the same repository has its own
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Kept:
    """Files of the clone at `path` that a check-out replaced: as they were, they are in the commit `ref`. If
    there are none, what is kept is the commit above it, which was made in the clone alone.
    """

    path: Path
    ref: str
    names: list[str]

    def __str__(self) -> str:
        if not self.names:
            above = f"{self.ref}^"
            pick = f"git -C {shlex.quote(str(self.path))} cherry-pick {above}"
            return f"a commit that was made in {self.path} alone is kept as {above}, and `{pick}` repeats it"
        what = ", ".join(self.names[:_NAMED]) if self._can_be_named else f"{len(self.names)} files"
        return f"{what} had changed, and `{self._command}` brings back what was replaced"

    @property
    def _can_be_named(self) -> bool:
        return len(self.names) <= _NAMED and all(map(str.isprintable, self.names))

    @property
    def _command(self) -> str:
        git = f"git -C {shlex.quote(str(self.path))}"
        restore = f"{git} restore --source={self.ref}"
        if self._can_be_named:
            return f"{restore} -- {shlex.join(self.names)}"
        return (
            f"{git} diff --name-only -z {self.ref}^ {self.ref} | "
            f"{restore} --pathspec-from-file=- --pathspec-file-nul"
        )


class Clone(LocalRepository):
    """A clone at `app_path`; its `path` is its working tree, `mirror` that of its repository."""

    def __init__(self, path: Path, mirror: Mirror | None = None) -> None:
        lfs = lfs_in_place(mirror.path, mirror.contents) if mirror else lfs_in_place(None, ALL)
        super().__init__(path, lfs)
        self._changes = Changes(self)

    def require_trusted(self) -> None:
        """Raise `AppPathRefusedError` if another user may decide what git runs here."""
        require_own_clone(self.path)

    @staticmethod
    def is_clone(path: Path) -> bool:
        """Whether `path` is the top of a clone's working tree."""
        return (path / ".git").exists() and not path.is_symlink()

    def head(self) -> str:
        """Return the full id of the commit that is checked out; raises `StepFailedError` if none is."""
        return full_id(self.expect("rev-parse", "--verify", "HEAD^{commit}").strip())

    def modified_files(self) -> list[str]:
        """Return the tracked files that have changed since the last deployment, if not by itself. None have
        after a checkout of ours that was interrupted: what differs then is what it had written.
        """
        if self._marker().exists():
            return []
        changed = self._changes.tracked()
        if changed and self.has(_LEFT):
            now = self._changes.commit(changed, "What has changed", "HEAD")
            return sorted({*changed}.intersection(self._changes.between(_LEFT, now)))
        return changed

    def in_the_way(self, files: Collection[str]) -> list[str]:
        """Return the untracked files that a check-out of `files` would overwrite."""
        return self._changes.in_the_way(files)

    def followed(self, commit: str, mirror: Mirror) -> Iterator[tuple[Clone, str, Mirror]]:
        """Yield this clone with a commit and its mirror, and so each submodule of the commit that is checked
        out already, at any depth. Raises `StepFailedError` if a submodule cannot be had.
        """
        yield self, commit, mirror
        for submodule, its_mirror in mirror.submodules(commit):
            path = self.path / submodule.path
            if self.is_clone(path) and path.resolve() == self.path.resolve() / submodule.path:
                yield from Clone(path, its_mirror).followed(submodule.commit, its_mirror)

    def checkout(self, commit: str, mirror: LocalRepository, deployment_id: str) -> list[Kept]:
        """Bring the working tree to a commit, detached from every branch. What that replaces is kept first,
        and returned. Raises `StepFailedError`.
        """
        self._fetch(commit, mirror)
        self._finish_interrupted()
        kept = list(self._keep(deployment_id, commit, mirror))
        self._switch(commit)
        return kept

    def make(self, commit: str, mirror: Mirror) -> None:
        """Make a clone with a commit checked out, or finish one that was interrupted. Raises
        `StepFailedError`.
        """
        if not Clone.is_clone(self.path) and any(self.path.iterdir()):
            raise StepFailedError(f"{self.path} is not empty, and a submodule belongs there: move it away")
        self.expect("init", "--quiet", f"--object-format={mirror.object_format}", ".")
        self.expect("config", "remote.origin.url", mirror.remote.url)
        self.expect("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
        self._fetch(commit, mirror)
        self._switch(commit)

    def bring(self, commit: str, mirror: Mirror, deployment_id: str) -> list[Kept]:
        """Bring the working tree and its submodules to a commit, as `checkout` does."""
        kept = self.checkout(commit, mirror, deployment_id)
        return [*kept, *self._bring_submodules(commit, mirror, deployment_id)]

    def leave(self) -> None:
        """Remember what a deployment has changed, so that the next one may overwrite it."""
        changed = self._changes.tracked()
        if changed:
            left = self._changes.commit(changed, "What a deployment has changed", "HEAD")
            self.expect("update-ref", _LEFT, left)
        elif self.has(_LEFT):
            self.expect("update-ref", "-d", _LEFT)
        for clone in self._submodules():
            clone.leave()

    def kept(self, deployment_id: str) -> Iterator[Kept]:
        """Yield what the check-outs of a deployment have replaced, the newest first."""
        ref = f"{_KEPT}/{deployment_id}"
        while self.has(ref):
            yield Kept(self.path, ref, self._changes.between(f"{ref}^", ref))
            ref = f"{ref}^2"
        for clone in self._submodules():
            yield from clone.kept(deployment_id)

    def _fetch(self, commit: str, mirror: LocalRepository) -> None:
        if not self.has(full_id(commit)):
            options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options"]
            self.expect("fetch", *options, str(mirror.path), commit)

    def _keep(self, deployment_id: str, commit: str, mirror: LocalRepository) -> Iterator[Kept]:
        changes = self._changes
        names = [*changes.tracked(), *changes.unhide(commit), *changes.in_the_way(self.files(commit))]
        if names or self._is_alone(mirror):
            ref = f"{_KEPT}/{deployment_id}"
            earlier = [ref] if self.has(ref) else []
            kept = changes.commit(names, f"What deployment {deployment_id} replaced", "HEAD", *earlier)
            self.expect("update-ref", ref, kept)
            yield Kept(self.path, kept, names)

    def _is_alone(self, mirror: LocalRepository) -> bool:
        """Whether what is checked out is a commit that neither a branch nor the mirror has."""
        detached = self.ask("symbolic-ref", "--quiet", "HEAD").status != 0
        return detached and not mirror.has(self.head())

    def _switch(self, commit: str) -> None:
        marker = self._marker()
        marker.write_text(commit)
        # A file of which only the mode, owner or times have changed is not written again.
        git = ("-c", "core.fileMode=false")
        self.ask(*git, "update-index", "-q", "--refresh")
        answer = self._check_out(commit, *git)
        marker.unlink()
        if answer.status != 0:
            raise StepFailedError(f"{self.path} cannot be brought to {commit}: {answer.errors.strip()}")

    def _bring_submodules(self, commit: str, mirror: Mirror, deployment_id: str) -> Iterator[Kept]:
        """Bring the submodules of a commit, at any depth, to theirs; one that is missing is made."""
        for submodule, its_mirror in self._wanted(commit, mirror):
            clone = Clone(directory_in(self.path, submodule.path), its_mirror)
            if not (Clone.is_clone(clone.path) and clone.has("HEAD")):
                clone.make(submodule.commit, its_mirror)
            yield from clone.bring(submodule.commit, its_mirror, deployment_id)

    def _wanted(self, commit: str, mirror: Mirror) -> list[tuple[Submodule, Mirror]]:
        """Return the submodules of a commit. Those of a rollback are here, and need no mirror."""
        try:
            return list(mirror.submodules(commit))
        except StepFailedError:
            here = [
                (each, Clone(self.path / each.path))
                for each in chosen(Tree.of(self, commit), mirror.contents)
            ]
            if not all(Clone.is_clone(clone.path) and clone.has(each.commit) for each, clone in here):
                raise
            return [(each, mirror) for each, _ in here]

    def _finish_interrupted(self) -> None:
        """Finish a checkout that was interrupted, so that what it wrote is tracked."""
        marker = self._marker()
        if marker.exists():
            marker.with_name("index.lock").unlink(missing_ok=True)
            self._check_out(marker.read_text() or self.head())

    def _check_out(self, commit: str, *options: str) -> GitOutput:
        """Check a commit out; if that fails, none of the files that it would have added stay behind."""
        answer = self.ask(*options, "checkout", "--quiet", "--detach", "--force", commit, "--")
        if answer.status != 0:
            files = self.files(commit)
            for name in files.intersection(self.in_the_way(files)):
                (self.path / name).unlink()
        return answer

    def _submodules(self) -> Iterator[Clone]:
        yield from map(Clone, self._changes.submodules())

    def _marker(self) -> Path:
        """Return what exists while a checkout of ours is under way."""
        return Path(self.expect("rev-parse", "--absolute-git-dir").strip()) / "fraisier-checkout"

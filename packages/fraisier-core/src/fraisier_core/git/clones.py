"""Clones that are deployed in place; the filters in their configuration, such as LFS, are their owner's."""

from __future__ import annotations

from pathlib import Path

from fraisier_core.errors import StepFailedError
from fraisier_core.git.local import LocalRepository, full_id


class Clone(LocalRepository):
    """A clone at `app_path`; its `path` is its working tree."""

    @staticmethod
    def is_clone(path: Path) -> bool:
        """Whether `path` is the top of a clone's working tree."""
        return (path / ".git").exists() and not path.is_symlink()

    def head(self) -> str:
        """Return the full id of the commit that is checked out; raises `StepFailedError` if none is."""
        return full_id(self.expect("rev-parse", "--verify", "HEAD^{commit}").strip())

    def modified_files(self) -> list[str]:
        """Return the tracked files that differ from what is checked out: a deployment would lose them. None
        do after a checkout of ours that was interrupted: what differs then is what it had written.
        """
        if self._marker().exists():
            return []
        self.ask("update-index", "-q", "--refresh")  # a file that was only touched is not modified
        listed = self.expect("diff-index", "--name-only", "--ignore-submodules", "-z", "HEAD", "--")
        return [name for name in listed.split("\0") if name]

    def checkout(self, commit: str, mirror: LocalRepository) -> None:
        """Bring the working tree to a commit, detached from every branch. Raises `StepFailedError`."""
        marker = self._marker()
        force = ["--force"] if marker.exists() else []
        if self.ask("cat-file", "-e", f"{full_id(commit)}^{{commit}}").status != 0:
            options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options"]
            self.expect("fetch", *options, str(mirror.path), commit)
        if force:
            marker.with_name("index.lock").unlink(missing_ok=True)
        marker.write_text(commit)
        answer = self.ask("checkout", "--quiet", "--detach", *force, commit, "--")
        marker.unlink()
        if answer.status != 0:
            raise StepFailedError(f"{self.path} cannot be brought to {commit}: {answer.errors.strip()}")

    def _marker(self) -> Path:
        """Return what exists while a checkout of ours is under way."""
        return Path(self.expect("rev-parse", "--absolute-git-dir").strip()) / "fraisier-checkout"

"""A throwaway Git forge: a bare repository, and a clone from which to push to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, check_output

import pytest

_GIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "Author",
    "GIT_AUTHOR_EMAIL": "author@example.com",
    "GIT_COMMITTER_NAME": "Committer",
    "GIT_COMMITTER_EMAIL": "committer@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    # Nothing here lives long enough to be tidied, and to look whether it should takes a process each time.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "maintenance.auto",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


@dataclass(frozen=True, slots=True)
class Forge:
    """A repository as a forge holds it, and a clone of it.

    Args:
        bare: the repository that is pushed to and deployed from.
        clone: the working tree in which commits are made.
    """

    bare: Path
    clone: Path

    @classmethod
    def create(cls, folder: Path, branch: str = "main") -> Forge:
        """Return a forge in `folder` whose repository is empty.

        Args:
            folder: a directory of the test's own.
            branch: the default branch.
        """
        forge = cls(folder / "forge.git", folder / "clone")
        forge.bare.mkdir(parents=True)
        forge.clone.mkdir()
        forge._in(forge.bare, "init", "--quiet", "--bare", f"--initial-branch={branch}")
        forge.git("init", "--quiet", f"--initial-branch={branch}")
        forge.git("remote", "add", "origin", forge.url)
        return forge

    @property
    def url(self) -> str:
        """What `repository:` says to deploy from here."""
        return self.bare.as_uri()

    def git(self, *arguments: str) -> str:
        """Run git in the clone, and return what it prints. Raises `CalledProcessError` if it fails."""
        return self._in(self.clone, *arguments)

    def commit(self, files: Mapping[str, str], message: str = "Change") -> str:
        """Commit files and return the commit's full id; nothing is pushed.

        Args:
            files: texts by path; one that starts with `#!` becomes executable.
            message: the commit's message.
        """
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if text.startswith("#!") else 0o644)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--no-gpg-sign", f"--message={message}")
        return self.git("rev-parse", "HEAD")

    def push(self, branch: str = "main", *, force: bool = False) -> str:
        """Push what is checked out in the clone to a branch, and return its full id.

        Args:
            branch: the branch of the forge.
            force: whether it may be rewound.
        """
        self._push(branch, *(["--force"] if force else []))
        return self.git("rev-parse", "HEAD")

    def push_files(self, files: Mapping[str, str], branch: str = "main") -> str:
        """Commit files, push them to a branch, and return the commit's full id."""
        commit = self.commit(files)
        self._push(branch)
        return commit

    def _push(self, branch: str, *options: str) -> None:
        self.git("push", "--quiet", *options, "origin", f"HEAD:refs/heads/{branch}")

    @staticmethod
    def _in(folder: Path, *arguments: str) -> str:
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), **_GIT_ENVIRONMENT}
        command = ["git", *arguments]
        return check_output(
            command, cwd=folder, env=env, stdin=DEVNULL, stderr=PIPE, text=True, timeout=60
        ).strip()


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    """A forge of the test's own; named in `pytest_plugins` as `fraisier_core.testing.forge`."""
    return Forge.create(tmp_path / "forge")

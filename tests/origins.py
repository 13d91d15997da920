"""Repositories to fetch from, whatever state they are in."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

from fraisier_core.git.access import NO_ACCESS, Access
from fraisier_core.git.contents import ALL, Contents
from fraisier_core.git.mirrors import Mirror
from fraisier_core.system.commands import Limits

ALONE = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
IDENTITY = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
FACTS = b"author Ada <ada@example.com> 1262356920 +0000\ncommitter Ada <ada@example.com> 1262356920 +0000\n"


def _environment() -> dict[str, str]:
    return {**os.environ, **ALONE}


class Origin:
    """A repository to fetch from, and its working tree."""

    def __init__(self, path: Path, object_format: str = "sha1") -> None:
        self.path = path
        options = ["-q", "-b", "main", f"--object-format={object_format}"]
        subprocess.run(["git", "init", *options, path], check=True)

    def git(self, *arguments: str) -> str:
        """Run git in it, and return what it prints."""
        argv = ["git", "-C", str(self.path), *IDENTITY, *arguments]
        return subprocess.run(
            argv, check=True, capture_output=True, text=True, env=_environment()
        ).stdout.strip()

    def commit(self, **files: str) -> str:
        """Commit texts by path, with `__` for `/`, and return the commit's full id."""
        for name, text in files.items():
            path = self.path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def add_submodule(self, path: str, url: str, commit: str, name: str | None = None) -> None:
        """Stage a submodule, whatever its path and its address."""
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        for key, value in (("path", path), ("url", url)):
            self.git("config", "--file", ".gitmodules", f"submodule.{name or path}.{key}", value)
        self.git("add", ".gitmodules")

    def commit_staged(self) -> str:
        """Commit what is staged, and return the commit's full id."""
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def write(self, kind: str, raw: bytes) -> str:
        """Write an object as it is, faults included, and return its id."""
        argv = ["git", "-C", str(self.path), "hash-object", "-t", kind, "-w", "--literally", "--stdin"]
        return subprocess.run(argv, check=True, capture_output=True, input=raw).stdout.decode().strip()

    def write_tree(self, *entries: tuple[str, str, str]) -> str:
        """Write a tree of modes, names and ids, in their order."""
        raw = b"".join(
            f"{mode} {name}".encode() + b"\0" + bytes.fromhex(entry) for mode, name, entry in entries
        )
        return self.write("tree", raw)

    def write_commit(self, tree: str, branch: str, facts: bytes = FACTS) -> str:
        """Write a commit of a tree, and point a branch at it."""
        commit = self.write("commit", b"tree " + tree.encode() + b"\n" + facts + b"\nimported\n")
        (self.path / ".git/refs/heads" / branch).write_text(f"{commit}\n")
        return commit


def mirror_of(
    url: str,
    folder: Path,
    *,
    wall: float = 30,
    silence: float = 30,
    cancelled: threading.Event | None = None,
    access: Access = NO_ACCESS,
    contents: Contents = ALL,
) -> Mirror:
    """Return a mirror in `folder` that asks its remote once."""
    return Mirror(
        folder / "mirrors/api.git",
        url,
        cancelled or threading.Event(),
        access=access,
        contents=contents,
        limits=Limits(wall, silence, grace=1),
        retry_seconds=(),
    )

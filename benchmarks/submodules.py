"""A release with submodules, against a clone that shares its objects.

Both are made of repositories on the same disk whose objects are there already: what is measured is what a
release adds, not the network.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from fraisier_core.git.mirrors import Mirror

from benchmarks.deploying import IDENTITY
from benchmarks.figures import Figure, beside, median
from benchmarks.installation import clean_environment

ROUNDS, SUBMODULES, FILES = 25, 3, 100
LOCAL = ["-c", "protocol.file.allow=always"]


def figures(folder: Path) -> Iterator[Figure]:
    """Measure, one release and one clone in turn, and yield the figure."""
    repository = make_repositories(folder / "git")
    mirror = Mirror.in_folder(folder / "mirrors", str(repository), threading.Event())
    mirror.fetch()
    commit = mirror.resolve_ref("refs/heads/main")
    mirror.export(commit, folder / "warm")  # fetches the submodules
    pairs = [
        (_export(mirror, commit, folder / f"release{number}"), _clone(repository, folder / f"clone{number}"))
        for number in range(ROUNDS)
    ]
    yield Figure(
        f"a release with {SUBMODULES} submodules of {FILES} files that are fetched already, against "
        "`git clone --recurse-submodules --shared`",
        "<=",
        1.3,
        median([ours / bare for ours, bare in pairs]),
        "x",
        beside([ours for ours, _ in pairs], [bare for _, bare in pairs]),
    )


def make_repositories(folder: Path) -> Path:
    """Make a repository and those of its submodules, each with as many files, and return its path."""
    top = _make(folder / "top")
    for number in range(SUBMODULES):
        _make(folder / f"library{number}")
        _git(top, *LOCAL, "submodule", "--quiet", "add", f"../library{number}", f"library{number}")
    _git(top, *IDENTITY, "commit", "-q", "-m", "Add submodules")
    return top


def _make(path: Path) -> Path:
    path.mkdir(parents=True)
    _git(path, "init", "-q", "-b", "main")
    for number in range(FILES):
        (path / f"file{number}.txt").write_text(f"{number}\n" * 1000)
    _git(path, "add", "--all")
    _git(path, *IDENTITY, "commit", "-q", "-m", "Add files")
    return path


def _git(work: Path, *arguments: str | Path) -> None:
    subprocess.run(["git", "-C", work, *arguments], check=True, env=clean_environment())


def _export(mirror: Mirror, commit: str, into: Path) -> float:
    started = time.perf_counter()
    mirror.export(commit, into)
    return time.perf_counter() - started


def _clone(repository: Path, into: Path) -> float:
    argv = ["git", *LOCAL, "clone", "-q", "--recurse-submodules", "--shared", str(repository), str(into)]
    started = time.perf_counter()
    subprocess.run(argv, check=True, env=clean_environment())
    return time.perf_counter() - started

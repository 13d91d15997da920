"""A deployment of 1,000 files against the bare commands: fetch, archive, sync, swap."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from fraisier_core.store.records import Request
from fraisier_core.store.sqlite.wake_ups import wake

from benchmarks.figures import Figure, beside, median
from benchmarks.installation import SCRIPTS, clean_environment, write_configuration
from tests.stores import open_store

FILES = 1_000
ROUNDS = 25
KEPT = 5
IDENTITY = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]


def figures(folder: Path) -> Iterator[Figure]:
    """Measure, one deployment and one floor in turn, and yield the figure."""
    repository = make_repository(folder / "repository", FILES)
    config = write_configuration(folder, str(repository))
    floor = _Floor(folder / "floor", repository)
    worker = subprocess.Popen(
        [SCRIPTS / "fraisier", "worker", "-c", config],
        env=clean_environment(),
        stderr=(folder / "worker.log").open("wb"),
    )
    try:
        pairs = [
            (_deploy(folder, commit_files(repository)), floor.run(commit_files(repository)))
            for _ in range(ROUNDS)
        ]
    finally:
        worker.terminate()
        worker.wait(60)
    pairs = pairs[KEPT + 1 :]  # the first one clones, and nothing is deleted before some are there
    ratio = median([ours / bare for ours, bare in pairs])
    yield Figure(
        f"deployment of {FILES:,} files whose steps do nothing, against bare git, sync and swap",
        "<=",
        1.5,
        ratio,
        "x",
        beside([ours for ours, _ in pairs], [bare for _, bare in pairs]),
    )


def make_repository(path: Path, files: int) -> Path:
    """Make a bare repository with `files` files of 4 KB on its branch main; a clone lies beside it."""
    work = path.with_name(f"{path.name}-work")
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", work], check=True)
    _git(work, "remote", "add", "origin", path)
    for number in range(files):
        file = work / f"folder{number % 40}" / f"file{number}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{number}\n" * (4096 // (len(str(number)) + 1)))
    commit_files(path)
    return path


def commit_files(repository: Path) -> str:
    """Change one file, push it to main, and return the commit."""
    work = repository.with_name(f"{repository.name}-work")
    (work / "stamp.txt").write_text(str(time.time_ns()))
    _git(work, "add", "--all")
    _git(work, *IDENTITY, "commit", "-q", "-m", "Change the stamp")
    _git(work, "push", "-q", "origin", "main")
    return subprocess.run(
        ["git", "-C", work, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _git(work: Path, *arguments: str | Path) -> None:
    subprocess.run(["git", "-C", work, *arguments], check=True, env=clean_environment())


def _deploy(folder: Path, commit: str) -> float:
    """Have the worker deploy a commit and return the seconds from the request to the end."""
    store = open_store(folder / ".fraisier" / "fraisier.db")
    while not store.live_workers():
        time.sleep(0.05)
    time.sleep(0.1)  # a spare process is ready
    deployment = store.request(
        Request("my_api", "production", "deploy", "manual", "bench", commit_sha=commit)
    )
    wake(folder / ".fraisier")
    while not (record := store.deployment(deployment)).completed_at:
        time.sleep(0.002)
    store.close()
    assert record.status == "success", record
    ended, requested = (
        datetime.fromisoformat(record.completed_at or ""),
        datetime.fromisoformat(record.requested_at),
    )
    return (ended - requested).total_seconds()


class _Floor:
    """The same with nothing but the commands that it cannot do without.

    As many releases are kept: on some file systems deleting one slows the next down.
    """

    def __init__(self, folder: Path, repository: Path) -> None:
        self._folder = folder
        self._releases: list[Path] = []
        self._mirror = folder / "mirror.git"
        folder.mkdir()
        subprocess.run(["git", "clone", "-q", "--mirror", repository, self._mirror], check=True)

    def run(self, commit: str) -> float:
        release = self._folder / commit
        started = time.perf_counter()
        subprocess.run(["git", "-C", self._mirror, "fetch", "-q", "origin"], check=True)
        release.mkdir()
        archive = subprocess.Popen(["git", "-C", self._mirror, "archive", commit], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", release], stdin=archive.stdout, check=True)
        assert archive.wait() == 0
        subprocess.run(["sync", "-f", release], check=True)
        (self._folder / "next").symlink_to(release)
        (self._folder / "next").replace(self._folder / "current")
        taken = time.perf_counter() - started
        self._releases.append(release)
        if len(self._releases) > KEPT:
            shutil.rmtree(self._releases.pop(0))
        return taken

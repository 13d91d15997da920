"""`fraisier deploy` from the command to the prompt, against the bare commands it cannot do without.

The floor fetches, exports by `archive` and `tar`, syncs the file system, swaps a link, and starts one
Python: the bare typer command with yaml and one pydantic model that `fraisier status` is measured against,
too. A worker runs beside, which deletes old releases between two measurements, as the floor does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fraisier_core.engine.trash import trash

from benchmarks.commands import BARE_STATUS
from benchmarks.figures import Figure, beside, median
from benchmarks.installation import SCRIPTS, clean_environment, write_configuration

ROUNDS = {1_000: 25, 20_000: 13}
KEPT = 5
IDENTITY = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
PYTHON = [sys.executable, "-c", BARE_STATUS]


def figures(folder: Path) -> Iterator[Figure]:
    """Measure, one deployment and one floor in turn, and yield the figures."""
    for files, rounds in ROUNDS.items():
        place = folder / str(files)
        place.mkdir()
        pairs = _pairs(place, files, rounds)
        yield Figure(
            f"`fraisier deploy` of {files:,} files whose steps do nothing, from the command to the prompt, "
            "against bare git, sync, swap and the start of one Python",
            "<=",
            1.2,
            median([ours / bare for ours, bare in pairs]),
            "x",
            beside([ours for ours, _ in pairs], [bare for _, bare in pairs]),
        )


def _pairs(folder: Path, files: int, rounds: int) -> list[tuple[float, float]]:
    repository = make_repository(folder / "repository", files)
    config = write_configuration(folder, str(repository))
    floor = _Floor(folder / "floor", repository)
    worker = subprocess.Popen(
        [SCRIPTS / "fraisier", "worker", "--config", config],
        env=clean_environment(),
        stderr=(folder / "worker.log").open("wb"),
    )
    try:
        pairs = [
            (_deploy(config, commit_files(repository)), floor.run(commit_files(repository)))
            for _ in range(KEPT + 1 + rounds)
        ]
    finally:
        worker.terminate()
        worker.wait(60)
    return pairs[KEPT + 1 :]  # the first one clones, and nothing is deleted before some are there


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


def _deploy(config: Path, commit: str) -> float:
    """Deploy a commit and return the seconds from the command to the prompt."""
    argv: list[str | Path] = [
        SCRIPTS / "fraisier",
        "deploy",
        "my_api",
        "production",
        "--commit",
        commit,
        "--config",
        config,
    ]
    started = time.perf_counter()
    subprocess.run(argv, check=True, env=clean_environment(), stdout=subprocess.DEVNULL)
    taken = time.perf_counter() - started
    while any(trash(config.parent / ".fraisier")):
        time.sleep(0.1)
    os.sync()  # what deleting costs is not left to whoever comes next
    return taken


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
        subprocess.run(PYTHON, check=True)
        taken = time.perf_counter() - started
        self._releases.append(release)
        if len(self._releases) > KEPT:
            shutil.rmtree(self._releases.pop(0))
        os.sync()
        return taken

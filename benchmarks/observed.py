"""Deployments by a worker whose observers hang, flood and die, against one without observers.

Both execute the same in turn; what counts is the time from the claim of a deployment to its end, as it is
recorded.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.deploying import commit_files, make_repository
from benchmarks.figures import Figure, beside, median
from benchmarks.installation import SCRIPTS, clean_environment, running, write_configuration

FILES, ROUNDS, WARM_UP = 1_000, 31, 3
OBSERVERS = {
    "hanger": "__import__('time').sleep(1000)",
    "flooder": "print('x' * 1_000_000, file=__import__('sys').stderr)",
    "dier": "__import__('os').kill(__import__('os').getpid(), 9)",
}
MODULE = """
from fraisier_core import hookimpl

@hookimpl
def deployment_changed(deployment, event, settings):
    {statement}
"""


def figures(folder: Path) -> Iterator[Figure]:
    """Measure, one deployment of each worker in turn, and yield the figure."""
    pairs = _pairs(folder, ROUNDS)
    yield Figure(
        f"a deployment of {FILES:,} files, from its claim to its end, while one observer hangs, one floods "
        "the log and one dies, against the same without observers",
        "<=",
        1.05,
        median([ours / bare for ours, bare in pairs]),
        "x",
        beside([ours for ours, _ in pairs], [bare for _, bare in pairs]),
    )


def _pairs(folder: Path, rounds: int) -> list[tuple[float, float]]:
    packages = _install(folder / "packages")
    with ExitStack() as stack:
        observed, alone = (
            stack.enter_context(_place(folder / name, environ))
            for name, environ in (
                ("observed", {"PYTHONPATH": str(packages)}),
                ("alone", {"FRAISIER_DISABLED_PLUGINS": "notify"}),
            )
        )
        pairs = []
        for number in range(WARM_UP + rounds):  # the other one first, each time
            first, second = (observed, alone) if number % 2 else (alone, observed)
            taken = {each: _deploy(each) for each in (first, second)}
            pairs.append((taken[observed], taken[alone]))
    return pairs[WARM_UP:]


def _install(packages: Path) -> Path:
    packages.mkdir()
    for name, statement in OBSERVERS.items():
        (packages / f"bench_{name}.py").write_text(MODULE.format(statement=statement))
        info = packages / f"bench_{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: bench-{name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[fraisier.observers]\n{name} = bench_{name}\n")
    return packages


@contextmanager
def _place(folder: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the configuration of a worker that runs until the block ends."""
    folder.mkdir()
    repository = make_repository(folder / "repository", FILES)
    config = write_configuration(folder, str(repository))
    assert commit_files(repository)
    variables = [f"{name}={value}" for name, value in environ.items()]
    argv = ["env", *variables, SCRIPTS / "fraisier", "worker", "-c", config]
    with running(argv, "told of events", folder / "worker.log"):
        yield config


def _deploy(config: Path) -> float:
    """Have the worker deploy a new commit, and return the seconds from its claim to its end."""
    commit_files(config.with_name("repository"))
    _fraisier(config, "deploy", "my_api", "production", "--detach")
    while (last := _last(config))["status"] in {"pending", "running"}:
        time.sleep(0.2)
    assert last["status"] == "success", last
    return (_time(last, "completed_at") - _time(last, "started_at")).total_seconds()


def _last(config: Path) -> Any:
    (found, *_) = json.loads(_fraisier(config, "history", "--json", "--limit", "1"))
    return found


def _time(deployment: Any, name: str) -> datetime:
    return datetime.fromisoformat(deployment[name])


def _fraisier(config: Path, *arguments: str) -> str:
    argv: list[str | Path] = [SCRIPTS / "fraisier", *arguments, "-c", config]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=clean_environment())
    return done.stdout

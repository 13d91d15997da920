"""What of a job has to do with systemd, measured where systemd runs; prints the seconds as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.installation import SCRIPTS, clean_environment

ROOT = Path(__file__).parents[1]
SANDBOX = ROOT / "tests/systemd-sandbox.sh"
ROUNDS = 15
FRAISIER = SCRIPTS / "fraisier"

JOB = """\
fraises:
  my_job:
    type: etl
    repository: {repository}
    environments:
      production: {{branch: main, app_path: {folder}/app, script_path: job.sh, stable_for: 0}}
"""
IDENTITY = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]


def measured() -> dict[str, list[float]]:
    """Measure on this machine if systemd runs it, in a throwaway systemd otherwise, and return the seconds
    by what took them.
    """
    here = [sys.executable, "-m", "benchmarks.in_systemd"]
    argv = here if Path("/run/systemd/system").is_dir() else [str(SANDBOX), "run", "--", *here]
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def install_job(folder: Path, script: str) -> Path:
    """Deploy an etl fraise whose job is a script, and return its configuration."""
    repository = folder / "repository"
    repository.mkdir(parents=True)
    (repository / "job.sh").write_text(f"#!/bin/sh\n{script}\n")
    (repository / "job.sh").chmod(0o755)
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*IDENTITY, "commit", "-q", "-m", "Job"]):
        subprocess.run(["git", "-C", repository, *arguments], check=True, env=clean_environment())
    config = folder / "fraises.yaml"
    config.write_text(JOB.format(repository=repository, folder=folder))
    quiet([FRAISIER, "-c", config, "deploy", "my_job", "production"])
    return config


def quiet(argv: Sequence[str | Path]) -> float:
    """Run a command without its output, and return how many seconds it took. Raises if it fails."""
    started = time.perf_counter()
    subprocess.run(argv, check=True, env=clean_environment(), stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _measure(folder: Path) -> dict[str, list[float]]:
    config = install_job(folder, "exec true")
    commands: dict[str, list[str | Path]] = {
        "run": [FRAISIER, "-c", config, "run", "my_job", "production"],
        "status": [FRAISIER, "-c", config, "status"],
        "systemd-run": ["systemd-run", "--wait", "--quiet", "true"],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, argv in commands.items():
            found[name].append(quiet(argv))
    return found


if __name__ == "__main__":
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(_measure(Path(place))))

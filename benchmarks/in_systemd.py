"""What of a job has to do with systemd, measured in a throwaway one; prints the seconds as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from fraisier_core.config import load_config
from fraisier_core.plugins import Plugins
from fraisier_core.requests.requesting import configure_store

from benchmarks.installation import SCRIPTS, clean_environment
from tests.stores import open_store

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
      production: {{branch: main, app_path: {folder}/app, script_path: job.sh, stable_for: 0{more}}}
"""
LIMITS = ", limits: {tasks: 100}"
DROP_IN = Path("/etc/systemd/system/fraisier-run-.service.d/benchmark.conf")
SEEN = "[Service]\nPrivateTmp=no\nProtectHome=no\nReadWritePaths={folder}\n"
"""Has units see the checkout that is measured, wherever it is, and write to the folder of the job."""
TIMERS = 500
RUNS = 300
SCHEDULED = """\
  job_{number}:
    type: scheduled
    repository: https://forge.example/acme/job-{number}.git
    environments:
      production:
        branch: main
        app_path: {folder}/app-{number}
        schedule: "{minute} 2 * * *"
        command: ["true"]
"""
LOAD = """\
import sys
from pathlib import Path
from fraisier_core.config import load_config
from fraisier_core.plugins import Plugins
load_config(Path(sys.argv[1]), Plugins.installed())
"""
IDENTITY = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]


def measured() -> dict[str, list[float]]:
    """Measure in a systemd that is started for it, as root, and return the seconds by what took them."""
    argv = [str(SANDBOX), "run", "--", sys.executable, "-m", "benchmarks.in_systemd"]
    with tempfile.TemporaryDirectory() as state:
        own = {**os.environ, "FRAISIER_SANDBOX_STATE": f"{state}/systemd"}
        done = subprocess.run(argv, cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def install_job(folder: Path, script: str, *, in_units: bool = False) -> Path:
    """Deploy an etl fraise whose job is a script, perhaps run by units; return its configuration."""
    repository = folder / "repository"
    repository.mkdir(parents=True)
    (repository / "job.sh").write_text(f"#!/bin/sh\n{script}\n")
    (repository / "job.sh").chmod(0o755)
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*IDENTITY, "commit", "-q", "-m", "Job"]):
        subprocess.run(["git", "-C", repository, *arguments], check=True, env=clean_environment())
    config = folder / "fraises.yaml"
    config.write_text(JOB.format(repository=repository, folder=folder, more=LIMITS if in_units else ""))
    if in_units:
        (folder / ".fraisier").mkdir()
        DROP_IN.parent.mkdir()
        DROP_IN.write_text(SEEN.format(folder=folder))
        quiet([FRAISIER, "-c", config, "config", "install"])
    quiet([FRAISIER, "-c", config, "deploy", "my_job", "production"])
    return config


def quiet(argv: Sequence[str | Path]) -> float:
    """Run a command without its output, and return how many seconds it took. Raises if it fails."""
    started = time.perf_counter()
    subprocess.run(argv, check=True, env=clean_environment(), stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _measure(folder: Path) -> dict[str, list[float]]:
    config = install_job(folder / "here", "exec true")
    other = install_job(folder / "unit", "exec true", in_units=True)
    commands: dict[str, list[str | Path]] = {
        "run": [FRAISIER, "-c", config, "run", "my_job", "production"],
        "run in a unit": [FRAISIER, "-c", other, "run", "my_job", "production"],
        "status": [FRAISIER, "-c", config, "status"],
        "systemd-run": ["systemd-run", "--wait", "--quiet", "true"],
    }
    many, timers = install_timers(folder / "many")
    commands |= {
        "status of many": [FRAISIER, "-c", many, "status"],
        "load many": [sys.executable, "-c", LOAD, many],
        "systemctl show": ["systemctl", "show", "--property=Id,ActiveState,NextElapseUSecRealtime", *timers],
    }
    _require_told(many)
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, argv in commands.items():
            found[name].append(quiet(argv))
    _require_executed_by_units(other)
    return found


def _require_told(many: Path) -> None:
    """Require that the status tells of each job when it runs next, and how its last run ended."""
    told = _printed([FRAISIER, "-c", many, "status", "--json"])
    assert len(told) == TIMERS
    assert all(each["timer"]["next"] and not each["timer"]["problem"] for each in told)
    assert all(each["run"]["status"] == "success" and each["serving_release"] for each in told)


def _require_executed_by_units(config: Path) -> None:
    runs = [each for each in _printed([FRAISIER, "-c", config, "history", "--json"]) if each["kind"] == "run"]
    assert len(runs) >= ROUNDS
    assert all((each["status"], each["executor"]) == ("success", "unit") for each in runs)


def _printed(argv: Sequence[str | Path]) -> list[dict[str, Any]]:
    done = subprocess.run(argv, check=True, env=clean_environment(), stdout=subprocess.PIPE)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def install_timers(folder: Path) -> tuple[Path, list[str]]:
    """Install many scheduled fraises that were run often; return the configuration and the timers."""
    config = folder / "fraises.yaml"
    (folder / ".fraisier").mkdir(parents=True)
    numbers = range(TIMERS)
    fraises = (SCHEDULED.format(number=each, minute=each % 60, folder=folder) for each in numbers)
    config.write_text(f"fraises:\n{''.join(fraises)}")
    loaded = load_config(config, Plugins.installed())
    with closing(open_store(loaded.database)) as store:
        configure_store(store, loaded, executes=True)
        with store.transaction():
            for statement in (Path(__file__).parent / "many_runs.sql").read_text().split(";\n"):
                store.execute(statement, {"runs": RUNS})
    quiet([FRAISIER, "-c", config, "config", "install"])
    return config, [f"fraisier-run-job_{each}.production.timer" for each in numbers]


if __name__ == "__main__":
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(_measure(Path(place))))

"""Jobs: how long a run of nothing takes, and what a job that prints a lot costs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fraisier_core.system.environment import clean_environment as environment_of_commands
from fraisier_core.system.processes import descendants

from benchmarks.figures import Figure, median
from benchmarks.in_systemd import FRAISIER, install_job, measured
from benchmarks.installation import clean_environment

GIGABYTE = 1_000_000_000
PRINTING_ROUNDS = 3
MEGABYTES = 100
LOOK_SECONDS = 0.05
PRINT = "import sys\nline = 'x' * 79\nfor _ in range(int(sys.argv[1]) // 80):\n    print(line)\n"


@dataclass(frozen=True, slots=True)
class Printed:
    """What it took to run a job that prints: seconds, and the MB of the largest process of ours."""

    seconds: float
    megabytes: float


def figures(folder: Path) -> Iterator[Figure]:
    """Measure, each floor in turn with ours, and yield the figures."""
    seconds = {name: median(values) for name, values in measured().items()}
    for run, where in (("run", ""), ("run in a unit", " in a unit with limits")):
        yield Figure(
            f"`fraisier run` of `true`{where}, from the command to the prompt, against `fraisier status` and "
            "`systemd-run --wait true` together",
            *against(2, seconds, run, "status", "systemd-run"),
        )
    yield Figure(
        "`fraisier status` of 500 jobs with timers and 300 runs each, against loading that configuration and "
        "one `systemctl show` of all timers",
        *against(1.5, seconds, "status of many", "load many", "systemctl show"),
    )
    yield from _printing(folder)


def against(
    goal: float, seconds: Mapping[str, float], ours: str, *floor: str
) -> tuple[Literal["<="], float, float, str, str]:
    """Return the goal, the ratio and the detail of a figure that is measured against several others."""
    detail = ", ".join(f"{name} {seconds[name] * 1e3:.0f} ms" for name in (ours, *floor))
    return "<=", goal, seconds[ours] / sum(seconds[name] for name in floor), "x", detail


def _printing(folder: Path) -> Iterator[Figure]:
    job = printing_job(folder)
    pairs = [(run_printing(job, GIGABYTE), _floor(folder, GIGABYTE)) for _ in range(PRINTING_ROUNDS)]
    ours, floor = median([run.seconds for run, _ in pairs]), median([bare for _, bare in pairs])
    yield Figure(
        "speed of a run whose Python script prints 1 GB in lines of 80 bytes, against the same script into "
        "`cat > /dev/null`",
        ">=",
        0.5,
        median([bare / run.seconds for run, bare in pairs]),
        "x",
        f"{ours:.1f} s; floor {floor:.1f} s",
    )
    largest = max(run.megabytes for run, _ in pairs)
    yield Figure("memory of the largest process of ours meanwhile", "<=", MEGABYTES, largest, "MB", "")


def printing_job(folder: Path) -> Path:
    """Deploy a job that prints as many bytes as its argument says, and return its configuration."""
    (folder / "print.py").write_text(PRINT)
    return install_job(folder / "printing", f'exec {sys.executable} {folder}/print.py "$1"')


def run_printing(config: Path, size: int) -> Printed:
    """Run the job to its end, and return what that took."""
    argv: list[str | Path] = [FRAISIER, "-c", config, "run", "my_job", "production", "--", str(size)]
    started, largest = time.perf_counter(), 0.0
    with subprocess.Popen(argv, env=clean_environment(), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            pids = [process.pid, *(each.pid for each in descendants(process.pid))]
            largest = max(largest, *(peak_megabytes(pid) for pid in pids))
            time.sleep(LOOK_SECONDS)
    assert process.returncode == 0
    return Printed(time.perf_counter() - started, largest)


def _floor(folder: Path, size: int) -> float:
    started = time.perf_counter()
    script = f"{sys.executable} {folder}/print.py {size} | cat > /dev/null"
    subprocess.run(["sh", "-c", script], check=True, env=environment_of_commands({}))
    return time.perf_counter() - started


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process has had in MB, 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 / 1e6 if found else 0.0

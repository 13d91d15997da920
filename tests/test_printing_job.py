"""A job that prints far more than is kept: nothing of ours grows with it."""

from __future__ import annotations

import re
import subprocess
from contextlib import closing
from pathlib import Path

from fraisier_core.engine.recorder import LOG_LIMIT

from benchmarks.in_systemd import FRAISIER
from benchmarks.installation import clean_environment
from benchmarks.jobs import MEGABYTES, printing_job, run_printing
from tests.stores import open_store

SIZE = 20_000_000


def test_a_job_that_prints_without_end_is_bounded_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    config = printing_job(tmp_path)
    assert run_printing(config, SIZE).megabytes < MEGABYTES
    with closing(open_store(config.parent / ".fraisier/fraisier.db")) as store:
        run, *_ = store.deployments("my_job", "production")
        log = store.log(run.id)
    assert (run.kind, run.status) == ("run", "success")
    kept = sum(len(chunk.text) for chunk in log)
    assert LOG_LIMIT / 2 < kept < 2 * LOG_LIMIT
    assert log[-1].text.endswith("x" * 79 + "\n")

    argv = [str(FRAISIER), "-c", str(config), "logs", "my_job", "production"]
    shown = subprocess.run(argv, env=clean_environment(), capture_output=True, text=True, check=True).stdout
    left_out = sum(int(count) for count in re.findall(r"\[(\d+) bytes left out\]", shown))
    command = f"$ ./job.sh {SIZE}\n"
    assert left_out + 80 * shown.count("x" * 79 + "\n") == SIZE + len(command)

"""The how-to guide for an ETL job, executed from its first block to its last."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.environments import ROOT
from tests.pages import blocks, page_shell

PAGE = ROOT / "docs/how-to/etl.md"


def test_whoever_follows_it_has_a_job_that_runs(place: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with page_shell(place / "home", os.environ | {"PATH": path}) as shell:
        for block in blocks(PAGE):
            shell.execute(block)

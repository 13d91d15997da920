"""The how-to guide for systemd, executed from its first block to its last."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.environments import ROOT
from tests.pages import blocks, page_shell

PAGE = ROOT / "docs/how-to/systemd.md"


def test_its_units_deploy_a_push(place: Path) -> None:
    home = place / "home"
    for name in ("packages", "examples"):
        shutil.copytree(
            ROOT / name, home / "fraisier" / name, ignore=shutil.ignore_patterns("__pycache__", "tests")
        )
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("FRAISIER", "PYTEST"))
    }
    with page_shell(home, variables | {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}) as shell:
        try:
            for block in blocks(PAGE):
                shell.execute(block)
        finally:
            print(shell.run("journalctl --no-pager --output=cat --lines=60; fraisier history"))

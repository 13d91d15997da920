"""The how-to guide for systemd, executed from its first block to its last."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.environments import ROOT
from tests.pages import blocks, page_shell

PAGE = ROOT / "docs/how-to/systemd.md"


def test_its_units_deploy_a_push_to_whoever_follows_it_once_and_again_and_survive_a_boot(place: Path) -> None:
    home = place / "home"
    for name in ("packages", "examples"):
        shutil.copytree(
            ROOT / name, home / "fraisier" / name, ignore=shutil.ignore_patterns("__pycache__", "tests")
        )
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("FRAISIER", "PYTEST"))
    }
    variables["PATH"] = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    with page_shell(home, variables, known_to_git=False) as shell:
        try:
            for block in blocks(PAGE) * 2:
                shell.execute(block)
            # A boot starts what `multi-user.target` wants, which is what is enabled.
            shell.run("systemctl stop my-api.service fraisier-worker.service fraisier-webhook.service")
            shell.run("systemctl start multi-user.target")
            shell.expect("curl --silent http://127.0.0.1:8000/", "hello, this is version 1")
            shell.run("curl --silent --fail --retry 9 --retry-all-errors http://127.0.0.1:8080/readyz")
        finally:
            print(shell.run("journalctl --no-pager --output=cat --lines=60; fraisier history"))

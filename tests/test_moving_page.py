"""The how-to guide for moving to PostgreSQL, move-to-postgresql.md, followed on a server of tests."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from tests.environments import ROOT
from tests.pages import blocks, page_shell
from tests.postgres import USUAL, Servers

PAGE = ROOT / "docs/how-to/move-to-postgresql.md"
CONFIG = """
database: {url: "sqlite:store/store.db"}
fraises: {}
"""


def test_its_commands_move_the_record(tmp_path: Path, postgres_servers: Servers) -> None:
    server = postgres_servers(USUAL)
    home = tmp_path / "home"
    home.mkdir()
    (home / "fraises.yaml").write_text(CONFIG)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with server.database() as url, page_shell(home, {"PATH": programs}) as shell:
        shell.run("fraisier db migrate")
        named = {"postgresql://fraisier@db.internal/fraisier": url}
        for block in blocks(PAGE):
            text = block.text
            for written, meant in named.items():
                quoted = meant.replace("&", r"\&") if text.startswith("sed") else f"'{meant}'"
                text = text.replace(written, quoted)
            shell.execute(replace(block, text=text))
        assert "PostgreSQL" in shell.run("fraisier db status")

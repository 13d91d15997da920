"""The how-to guide for backing up PostgreSQL, back-up-postgresql.md, followed on a server of its own."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import psycopg

from tests.environments import ROOT
from tests.pages import blocks, page_shell
from tests.postgres import PASSWORD, Server
from tests.postgres_server import programs

PAGE = ROOT / "docs/how-to/back-up-postgresql.md"
ORDERS = "CREATE TABLE orders (total integer); INSERT INTO orders VALUES (12), (30)"


def test_its_commands_back_up_test_and_restore(tmp_path: Path, postgres_server: Server) -> None:
    home = tmp_path / "home"
    home.mkdir()
    postgres_server.execute("CREATE DATABASE shop")
    with psycopg.connect(postgres_server.url("shop"), autocommit=True) as connection:
        connection.execute(ORDERS)
    path = f"{programs(postgres_server.version)}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    server = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres_server.port), "PGUSER": "postgres"}
    with page_shell(home, {"PATH": path, "PGPASSWORD": PASSWORD, **server}) as shell:
        *steps, clean_up = blocks(PAGE)
        for block in steps:
            address = f"127.0.0.1:{postgres_server.port}/"
            shell.execute(replace(block, text=block.text.replace("db.internal/", address)))
        said = shell.run("fraisier history; fraisier status")
        shell.execute(clean_up)
    assert "correct-horse-battery" not in said
    assert said.count("success") >= 2

"""Moving a large record by the command, which is killed again and again, and backing it up.

`FRAISIER_DEPLOYMENTS` says how many deployments; by default few.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path

import lz4.frame
import psycopg
import pytest
from fraisier_core.store.relational.dialect import statements
from fraisier_core.store.tables import TABLES, Contents, Table

from tests.command import FRAISIER
from tests.played import Player
from tests.postgres import PASSWORD, USUAL, Server, Servers
from tests.stores import open_store
from tests.waiting import wait_until

DEPLOYMENTS = int(os.environ.get("FRAISIER_DEPLOYMENTS", "3000"))
CONFIG = """
database: {{url: "{url}"}}
fraises: {{}}
"""
BODY = b'{"ref": "refs/heads/main"}' * 40


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A configuration whose store has many deployments."""
    store = open_store(tmp_path / "store" / "store.db")
    Player(store)
    sql = statements(Path(__file__).parent, "many_deployments")
    values = {
        "deployments": DEPLOYMENTS,
        "hash": sha256(BODY).hexdigest(),
        "body": lz4.frame.compress(BODY),
    }
    with store.transaction(), ExitStack() as without_rules:
        for table in TABLES:
            without_rules.enter_context(store.contents()._without_rules(table))
        for each in sql.values():
            store.execute(each, values)
    store.rebuild()
    store.close()
    config = tmp_path / "fraises.yaml"
    config.write_text(CONFIG.format(url=f"sqlite:{tmp_path}/store/store.db"))
    return config


@pytest.fixture
def server(postgres_servers: Servers) -> Server:
    return postgres_servers(USUAL)


def command(config: Path, *arguments: str) -> list[str]:
    return [str(FRAISIER), "-c", str(config), "db", *arguments]


def run(config: Path, *arguments: str) -> str:
    environ = os.environ | {"PASSWORD_OF_TESTS": PASSWORD}
    started = time.monotonic()
    done = subprocess.run(
        command(config, *arguments), env=environ, capture_output=True, text=True, check=False
    )
    print(arguments[0], f"{time.monotonic() - started:.1f} s")
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.stdout


def copied(server: Server, name: str) -> int:
    with psycopg.connect(server.url(name)) as connection:
        found = connection.execute("SELECT to_regclass('tb_deployment_events') IS NOT NULL").fetchone()
        if found == (False,):
            return 0
        (rows,) = connection.execute("SELECT count(*) FROM tb_deployment_events").fetchone() or (0,)
    return int(rows)


def is_beyond(server: Server, name: str, events: int) -> bool:
    return copied(server, name) > events


def rows(contents: Contents, table: Table) -> Iterator[tuple[object, ...]]:
    yield from contents.read(table)


def test_a_move_that_is_killed_again_and_again_ends_with_the_same_record(
    large: Path, server: Server, tmp_path: Path
) -> None:
    name = server.create()
    written = server.tcp_url(name)
    url = written.replace(written.split("@")[0].rpartition(":")[2], "${PASSWORD_OF_TESTS}")
    environ = os.environ | {"PASSWORD_OF_TESTS": "a%20secret%3A%20of%2Ftests"}
    for part in (1, 2):
        with subprocess.Popen(command(large, "copy", "--to", url), env=environ) as process:
            wait_until(partial(is_beyond, server, name, part * DEPLOYMENTS), seconds=600)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    started = time.monotonic()
    done = subprocess.run(
        command(large, "copy", "--to", url), env=environ, capture_output=True, text=True, check=False
    )
    print(f"the last copy took {time.monotonic() - started:.1f} s")
    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert "has moved to postgresql://***@127.0.0.1" in done.stdout
    target = tmp_path / "target.yaml"
    target.write_text(CONFIG.format(url=server.url(name)))
    assert "whole" in run(target, "check")
    run(target, "backup", str(tmp_path / "saved.db"))
    saved, source = open_store(tmp_path / "saved.db"), open_store(tmp_path / "store" / "store.db")
    for table in TABLES:
        assert list(rows(saved.contents(), table)) == list(rows(source.contents(), table)), table
    saved.close()
    source.close()
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_large_record_is_whole_and_can_be_restored(large: Path, tmp_path: Path) -> None:
    assert "whole" in run(large, "check")
    run(large, "backup", str(tmp_path / "saved.db"))
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG.format(url=f"sqlite:{tmp_path}/other/store.db"))
    assert "restored from" in run(other, "restore", str(tmp_path / "saved.db"))
    assert "whole" in run(other, "check")

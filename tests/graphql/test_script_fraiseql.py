"""`script/fraiseql`: what it serves, what it says of it, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.databases import PostgresDatabase, new_postgres
from tests.environments import ROOT
from tests.graphql.fraiseql_server import free_port, over_tcp, require_binaries
from tests.graphql.serving import Host
from tests.postgres import Servers
from tests.waiting import wait_until

SCRIPT = ROOT / "script/fraiseql_serving.py"


@contextmanager
def running(host: Host, port: int, end: signal.Signals = signal.SIGINT) -> Iterator[Path]:
    """Run the script for the configuration of a host until it gets a signal; yield what it says."""
    said = host.folder / "script.log"
    command = [
        sys.executable,
        str(SCRIPT),
        "--config",
        str(host.folder / "fraises.yaml"),
        "--port",
        str(port),
    ]
    environment = host.environ | {name: os.environ[name] for name in CACHE if name in os.environ}
    with said.open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: process.poll() is not None or _curl(port, "{ __typename }"), said.read_text, 120)
        assert process.poll() is None, said.read_text()
        yield said
    finally:
        if end == signal.SIGINT:
            os.killpg(process.pid, end)  # as a terminal does
        else:
            process.send_signal(end)
        process.wait()


CACHE = ("XDG_CACHE_HOME",)


def _curl(port: int, query: str) -> Any:
    """Ask as the README does, and return the response; None if nothing listens."""
    command = ["curl", "--silent", f"http://localhost:{port}/graphql"]
    options = ["--header", "Content-Type: application/json", "--data", json.dumps({"query": query})]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def deployed(host: Host) -> None:
    host.forge.push_files({"page.txt": "1"})
    assert host.run("fraisier", "deploy", "my_api", "production").returncode == 0


@pytest.fixture(autouse=True)
def binaries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the binaries are, whatever the home of the host is."""
    require_binaries()
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))


def test_a_store_on_sqlite_is_copied_and_goes_on(host: Host) -> None:
    deployed(host)
    with running(host, port := free_port(), signal.SIGTERM) as said:
        found = _curl(port, "{ deploymentHistory { status } }")
        assert found == {"data": {"deploymentHistory": [{"status": "SUCCESS"}]}}
        deploy = 'mutation { deploy(fraiseId: "my_api", environment: "production") { status } }'
        assert _curl(port, deploy) == {"data": {"deploy": {"status": "PENDING"}}}
    assert "a copy of" in said.read_text()
    assert host.run("fraisier", "deploy", "my_api", "production").returncode == 0
    assert len(json.loads(host.run("fraisier", "history", "--json").stdout)) == 2
    assert not [path for path in Path("/tmp").glob("fraiseql-*/postgresql") if path.exists()]


def test_a_store_on_postgresql_18_is_served_itself(tmp_path: Path, postgres_servers: Servers) -> None:
    server = postgres_servers(18)
    database = PostgresDatabase(over_tcp(server, new_postgres(server).url))
    host = Host.create(tmp_path / "host", database)
    deployed(host)
    with running(host, port := free_port()) as said:
        deploy = 'mutation { deploy(fraiseId: "my_api", environment: "production") { status } }'
        assert _curl(port, deploy) == {"data": {"deploy": {"status": "PENDING"}}}
        assert [each["status"] for each in json.loads(host.run("fraisier", "history", "--json").stdout)] == [
            "pending",
            "success",
        ]
    assert "the store itself" in said.read_text()
    assert "a secret" not in said.read_text()


def test_what_a_server_needs_is_prepared_in_the_store_of_the_configuration(
    tmp_path: Path, postgres_servers: Servers
) -> None:
    server = postgres_servers(18)
    database = PostgresDatabase(over_tcp(server, new_postgres(server).url))
    host = Host.create(tmp_path / "host", database)
    options = ["--config", str(host.folder / "fraises.yaml"), "--prepare", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "schema.compiled.json").read_text())["queries"]
    with closing(database.open()) as store:
        assert store.all("SELECT to_regproc('fn_deploy') IS NOT NULL AS made") == [{"made": True}]


def test_a_store_that_it_cannot_serve_is_not_prepared(host: Host, tmp_path: Path) -> None:
    options = ["--config", str(host.folder / "fraises.yaml"), "--prepare", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "is not on PostgreSQL 18 or newer: " in done.stderr


def test_without_rust_the_script_says_what_to_install(host: Host, tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, str(SCRIPT), "--build"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "there is no Rust: install Rust 1.95 or newer" in done.stderr


def test_an_old_rust_is_refused(tmp_path: Path) -> None:
    rustc = tmp_path / "rustc"
    rustc.write_text("#!/bin/sh\necho 'rustc 1.63.0 (4b91a6ea7 2022-08-08)'\n")
    rustc.chmod(0o755)
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, str(SCRIPT), "--build"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be built by rustc 1.63.0" in done.stderr

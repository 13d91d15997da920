from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.command import FRAISIER, imported

from .installation import Installation


def test_the_version_is_the_packages(installation: Installation) -> None:
    assert installation.run("--version").stdout == f"fraisier {version('fraisier')}\n"


def test_without_arguments_the_commands_are_shown(installation: Installation) -> None:
    done = installation.run()
    assert re.search(r"^ +deploy +Deploy, and follow it to its end\.$", done.stderr, re.MULTILINE)
    assert done.returncode == 2


def test_the_module_is_the_same_command(installation: Installation) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fraisier", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == installation.run("--version").stdout


OF_POSTGRESQL = {"psycopg", "fraisier_postgres"}


def test_help_imports_nothing_that_only_commands_need(installation: Installation) -> None:
    found = imported("--help", folder=installation.folder, environ=installation.environ)
    assert "typer" in found
    needless = {"pydantic", "yaml", "rich", "sqlite3", "pluggy", "fraisier_core.config.configuration"}
    assert not found & {*needless, *OF_POSTGRESQL}


@pytest.mark.parametrize("command", [["status"], ["history"], ["show", "{id}"], ["logs", "{id}"]])
def test_reading_imports_nothing_that_only_acting_needs(
    installation: Installation, command: list[str]
) -> None:
    installation.deploy()
    words = [word.format(id=installation.last().id) for word in command]
    found = imported(*words, folder=installation.folder, environ=installation.environ)
    assert {"pydantic", "fraisier_core.store.sqlite.sqlite_reader"} <= found
    acting = {
        "acme_script",
        "asyncio",
        "ctypes",
        "fraisier_core.engine.execution",
        "fraisier_core.store.sqlite.sqlite_store",
        "fraisier_core.system.processes",
        "logging",
        "rich",
    }
    assert not found & {*acting, *OF_POSTGRESQL}


def test_a_reader_that_leaves_early_is_no_error(installation: Installation) -> None:
    with subprocess.Popen([FRAISIER, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_an_unknown_command_is_wrong_usage(installation: Installation) -> None:
    assert installation.run("deplyo").returncode == 2

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMMAND = """
import os
import typer
from fraisier.exit_codes import explain_errors
from fraisier.running import run

app = typer.Typer(pretty_exceptions_enable=False)

@app.command()
def write_elsewhere() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.write(writer, b"x")

@app.command()
def write() -> None:
    for number in range(100_000):
        typer.echo(str(number))

@app.command()
def write_unprintable() -> None:
    typer.echo("\\udcff")

explain_errors(lambda: run(app, "command"))()
"""


def run(command: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", COMMAND, command]
    environ = os.environ | {"PYTHONUTF8": "1"}
    return subprocess.run(
        argv, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=60, env=environ
    )


@pytest.fixture
def readerless() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_a_broken_pipe_that_is_not_standard_output_is_an_error_like_any_other() -> None:
    done = run("write-elsewhere")
    assert done.returncode == 1
    assert "BrokenPipeError" in done.stderr
    assert done.stderr.endswith("RuntimeError: a process or connection that the command needs is gone\n")


def test_a_broken_pipe_elsewhere_is_told_though_standard_output_is_broken_too(readerless: int) -> None:
    done = run("write-elsewhere", readerless)
    assert done.returncode == 1
    assert "BrokenPipeError" in done.stderr


def test_a_command_ends_quietly_once_the_reader_of_its_output_is_gone(readerless: int) -> None:
    done = run("write", readerless)
    assert (done.returncode, done.stderr) == (141, "")


def test_what_cannot_be_encoded_is_escaped() -> None:
    assert run("write-unprintable").stdout == "\\udcff\n"

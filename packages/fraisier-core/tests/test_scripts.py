import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fraisier_core.errors import CommandFailedError
from fraisier_core.system.commands import Limits, run_command
from fraisier_core.system.environment import clean_environment

from tests.users import as_root


def write(path: Path, content: bytes, mode: int = 0o755) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def printed_by(folder: Path, *argv: str, env: dict[str, str] | None = None) -> str:
    """Run a command in a folder, and return what it prints."""
    output = bytearray()
    run_command(
        argv,
        cwd=folder,
        env=clean_environment(env or {}),
        limits=Limits(30, math.inf),
        on_output=output.extend,
        cancelled=threading.Event(),
    )
    return output.decode()


def refused(folder: Path, *argv: str, env: dict[str, str] | None = None) -> str:
    with pytest.raises(CommandFailedError) as caught:
        printed_by(folder, *argv, env=env)
    return str(caught.value)


@pytest.mark.parametrize(
    ("script", "printed"),
    [
        (b"#!/bin/sh\necho $0 $1\n", "./build an argument\n"),
        (b"#! /bin/sh -e\nfalse\necho reached\n", None),
        (b"#!/usr/bin/env python3\nimport sys; print(sys.argv)\n", "['./build', 'an argument']\n"),
        (b"#!/usr/bin/env -S python3 -I\nimport sys; print(sys.flags.isolated)\n", "1\n"),
        (f"#!{sys.executable}\nprint('python')\n".encode(), "python\n"),
        (b"#!bin/own\n", "own ./build an argument\n"),
    ],
)
@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_a_script_is_run_by_its_own_interpreter(
    tmp_path: Path, script: bytes, printed: str | None, mode: int
) -> None:
    (tmp_path / "bin").mkdir()
    write(tmp_path / "bin/own", b'#!/bin/sh\necho own "$1" "$2"\n')
    write(tmp_path / "build", script, mode)
    if printed is None:
        assert "exited with status 1" in refused(tmp_path, "./build", "an argument")
    else:
        assert printed_by(tmp_path, "./build", "an argument") == printed


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (b"#!/opt/nowhere/fish\necho\n", "the interpreter /opt/nowhere/fish, which does not exist here"),
        (b"#!/usr/bin/env nosuchshell\n", "the interpreter nosuchshell, which is not in PATH"),
        (b"#!/usr/bin/env -S nosuchshell -x\n", "the interpreter nosuchshell, which is not in PATH"),
        (b"#!/usr/bin/env python3 -u\n", "the interpreter python3 -u, which is not in PATH"),
        (b"#!/etc/passwd\n", "the interpreter /etc/passwd, which cannot be executed"),
        (b"#!/bin/sh\r\necho\r\n", "its lines end with CRLF"),
        (b"#!/bin/sh -e\r\necho\r\n", "its lines end with CRLF"),
        (b"#!/usr/bin/env python3\r\nprint()\r\n", "its lines end with CRLF"),
        (b"\xef\xbb\xbf#!/bin/sh\necho\n", "it begins with a byte order mark"),
        (b"echo no shebang\n", "first line name"),
        (b"#!\necho\n", "first line name"),
        (b"", "first line name"),
    ],
)
@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_a_script_that_cannot_be_run_is_refused_with_the_reason(
    tmp_path: Path, script: bytes, reason: str, mode: int
) -> None:
    write(tmp_path / "build.sh", script, mode)
    said = refused(tmp_path, "./build.sh")
    assert said.startswith("./build.sh cannot be started: ")
    assert reason in said


def test_a_program_that_is_found_in_path_is_looked_at_too(tmp_path: Path) -> None:
    write(tmp_path / "pip", b"#!/opt/venv/bin/python\n")
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert "the interpreter /opt/venv/bin/python, which does not exist" in refused(tmp_path, "pip", env=path)


def test_a_program_that_is_no_script_and_not_executable_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "true", Path("/bin/true").read_bytes(), 0o644)
    assert "it is not executable, and" in refused(tmp_path, "./true")


def test_a_program_whose_loader_is_missing_is_told_from_one_that_is_missing(tmp_path: Path) -> None:
    loader = b"/lib64/ld-linux-x86-64.so.2"
    program = Path("/bin/true").read_bytes()
    if loader not in program:
        pytest.skip("this machine's programs have another loader")
    write(tmp_path / "true", program.replace(loader, b"/lib64/ld-nowhere-86-64.so.2"[: len(loader)]))
    assert "was it built for another system?" in refused(tmp_path, "./true")
    assert "was it built" not in refused(tmp_path, "./false")


@pytest.fixture
def noexec(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that is mounted noexec."""
    folder = tmp_path / "noexec"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,noexec", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@as_root
def test_what_lies_on_a_noexec_mount_is_run_by_its_own_interpreter_or_refused(noexec: Path) -> None:
    write(noexec / "build.sh", b"#!/bin/sh\necho built\n")
    write(noexec / "own", b"#!build.sh\n")
    write(noexec / "plain.sh", b"echo built\n")
    assert printed_by(noexec, "./build.sh") == "built\n"
    assert "the interpreter build.sh, which cannot be executed" in refused(noexec, "./own")
    assert f"file system that is mounted noexec ({noexec})" in refused(noexec, "./plain.sh")

"""The demo shows what is true, says so if it is not, and leaves nothing behind."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fraisier_core.system.processes import kill_marked

from tests.environments import ROOT
from tests.waiting import wait_until

SECONDS = 120.0
MARK = "FRAISIER_DEMO_TEST"


def copied(folder: Path) -> Path:
    """Return a copy of what the demo needs of the checkout."""
    for name in ("packages", "script", "examples", "requirements"):
        ignored = shutil.ignore_patterns("__pycache__", "tests", "dist")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


def variables(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRAISIER", "PYTEST"))}
    lazily = {"PIP_NO_COMPILE": "1"}  # what is used is compiled when it is
    return kept | lazily | {"TMPDIR": str(folder), MARK: str(folder)}


@contextmanager
def started(folder: Path, *command: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run the demo beside the test, its throwaway folder in `folder`."""
    with subprocess.Popen(
        command,
        env=variables(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            kill_marked(MARK, str(folder))


def demo(folder: Path, *command: str | Path) -> tuple[int, str]:
    with started(folder, *command) as process:
        said, _ = process.communicate(timeout=SECONDS)
        assert left_running(folder) == []
    assert not list(folder.glob("fraisier-demo-*"))
    return process.returncode, said


def left_running(folder: Path) -> list[str]:
    """Return the command lines of the processes that bear the mark or work for the demo in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and str(folder).encode() in words:
            found.append(words.decode(errors="replace"))
    return found


def said_until(process: subprocess.Popen[str], text: str) -> str:
    """Return what it says up to a line with some text, and with that line."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(said)


def test_it_needs_only_git_and_python_and_sets_itself_up_once(tmp_path: Path) -> None:
    script = copied(tmp_path / "checkout") / "script/demo"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    status, said = demo(temporary, script)
    assert status == 0, said
    assert "Installing" in said
    assert re.search(r"verify +failed, .*\n +rolling back:\n +activate", said)
    for serving in ("version 1", "version 2", "version 2", "version 1"):
        before, found, said = said.partition(f"answers: hello, this is {serving}")
        assert found, before
    assert "\x1b" not in said

    with started(temporary, script) as process:
        assert "Installing" not in said_until(process, "Push version 1")


def test_it_fails_if_a_bad_release_stays(tmp_path: Path) -> None:
    checkout = copied(tmp_path / "checkout")
    app = checkout / "examples/hello/app.py"
    app.write_text(app.read_text().replace("HEALTH if", "200 if"))
    status, said = demo(tmp_path, sys.executable, checkout / "script/demo.py")
    assert status == 1
    assert "it should be rolled back" in said


def test_it_fails_if_the_old_version_goes_on_serving(tmp_path: Path) -> None:
    checkout = copied(tmp_path / "checkout")
    service = checkout / "examples/hello/service.py"
    service.write_text(
        service.read_text().replace("    stop()\n    if", "    if RECORD.exists(): sys.exit()\n    if")
    )
    status, said = demo(tmp_path, sys.executable, checkout / "script/demo.py")
    assert status == 1
    assert "is still held by" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(number: signal.Signals, tmp_path: Path) -> None:
    with started(tmp_path, sys.executable, ROOT / "script/demo.py") as process:
        said_until(process, "verify")
        process.send_signal(number)
        said, _ = process.communicate(timeout=SECONDS)
        assert said.endswith("\nStopped; everything is removed.\n")
        assert process.returncode == 128 + number
        assert left_running(tmp_path) == []
    assert not list(tmp_path.glob("fraisier-demo-*"))


def test_it_is_kept_running_on_request(tmp_path: Path) -> None:
    with started(tmp_path, sys.executable, ROOT / "script/demo.py", "--keep") as process:
        clone = Path(said_until(process, "$ cd ").split()[-1])
        url = said_until(process, "$ curl ").split()[-1]
        app = clone / "app.py"
        app.write_text(re.sub('VERSION = ".*"', 'VERSION = "mine"', app.read_text()))
        for arguments in (["commit", "-qam", "My own version"], ["push", "-q"]):
            subprocess.run(["git", *arguments], cwd=clone, check=True, capture_output=True)
        wait_until(lambda: answer(url) == "hello, this is version mine\n")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=SECONDS)
        assert said.endswith("\nStopped; everything is removed.\n")
        assert left_running(tmp_path) == []
    assert not list(tmp_path.glob("fraisier-demo-*"))


def answer(url: str) -> str:
    """Return what is served at `url`; nothing while its server is replaced."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:
            return str(response.read().decode())
    except (OSError, http.client.IncompleteRead):
        return ""


def test_find_python_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "bash").symlink_to(shutil.which("bash") or "bash")
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    done = subprocess.run(
        [ROOT / "script/find-python"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "apt install python3 python3-venv" in done.stderr

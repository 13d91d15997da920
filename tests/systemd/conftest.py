"""What the tests inside the sandbox share; outside of it they are not even collected."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.environments import ROOT
from tests.pages import PageShell, page_shell

collect_ignore_glob = [] if "FRAISIER_SYSTEMD_SANDBOX" in os.environ else ["test_*.py"]

UNITS = Path("/run/systemd/system")


@pytest.fixture
def systemctl() -> Callable[..., str]:
    """Return a function that runs systemctl with these arguments, and returns what it prints."""

    def run(*arguments: str) -> str:
        done = subprocess.run(["systemctl", *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def unhidden(
    place: Path, install_unit: Callable[[str, str], None], systemctl: Callable[..., str]
) -> Iterator[Path]:
    """Let what is deployed write to `place`, and units see the checkout that is tested, wherever it is.

    Returns the folder that says so.
    """
    install_unit("fraisier-worker.service", f"ExecStart=/bin/true\nReadWritePaths={place}")
    folder = UNITS / "fraisier-run-.service.d"
    folder.mkdir()
    seen = " ".join(str(path) for path in (ROOT, Path(sys.prefix)) if path.is_relative_to("/tmp"))
    lines = ("[Service]", f"BindReadOnlyPaths={seen}", "ProtectHome=no", "RestartSec=100ms", "")
    (folder / "checkout.conf").write_text("\n".join(lines))
    systemctl("daemon-reload")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user can get to, unlike `tmp_path`."""
    folder = Path(tempfile.mkdtemp(prefix="fraisier-", dir="/srv"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def root_shell(place: Path) -> Iterator[PageShell]:
    """The shell of a page that is followed as root, with a checkout in `~/fraisier`."""
    home = place / "home"
    ignored = shutil.ignore_patterns("__pycache__", "tests")
    for name in ("packages", "examples"):
        shutil.copytree(ROOT / name, home / "fraisier" / name, ignore=ignored)
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("FRAISIER", "PYTEST"))
    }
    variables["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    with page_shell(home, variables, known_to_git=False) as shell:
        try:
            yield shell
        finally:
            said = "journalctl --no-pager --output=cat --lines=60; /usr/local/bin/fraisier history"
            subprocess.run(["sh", "-c", said], check=False, env=variables)


@pytest.fixture
def install_unit(systemctl: Callable[..., str]) -> Iterator[Callable[[str, str], None]]:
    """Return a function that installs a unit: its name, and the lines of its section `[Service]`."""
    installed = []

    def install(name: str, service: str) -> None:
        installed.append(name)
        (UNITS / name).write_text(f"[Service]\n{service}\n")
        systemctl("daemon-reload")

    yield install
    for name in installed:
        subprocess.run(["systemctl", "stop", name], check=False, capture_output=True)
        (UNITS / name).unlink(missing_ok=True)
    systemctl("daemon-reload")


@pytest.fixture
def install_rule(systemctl: Callable[..., str]) -> Iterator[Callable[[Path, str], None]]:
    """Return a function that installs a polkit rule: the file it belongs in, and its text."""
    installed = []

    def install(path: Path, text: str) -> None:
        installed.append(path)
        path.write_text(text)
        shutil.chown(path, "polkitd")
        systemctl("restart", "polkit")  # it reads the rule by itself, but at an unknown time

    yield install
    for path in installed:
        path.unlink()
    systemctl("restart", "polkit")


@pytest.fixture
def outcome_as() -> Callable[[str, Callable[[], None]], str]:
    """Return a function that does something as another user, in a process of its own.

    It returns what was raised, the name of the class first, or nothing if nothing was.
    """

    def outcome(user: str, action: Callable[[], None]) -> str:
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            os.write(writer, _outcome_as(user, action).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        return text

    return outcome


def _outcome_as(user: str, action: Callable[[], None]) -> str:
    try:
        entry = pwd.getpwnam(user)
        os.setgroups([])
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
        action()
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent is told
        return f"{type(error).__name__}: {error}"
    return ""

"""Runs `tests/systemd` inside a real systemd, in a sandbox of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import ROOT, from_wheelhouse

SANDBOX = ROOT / "tests/systemd-sandbox.sh"
MODULES = sorted((ROOT / "tests/systemd").glob("test_*.py"))
# What the sandbox has of its own, and hides of the machine's.
HIDDEN = (Path("/tmp"), Path("/var/tmp"), Path("/run"))
TIMEOUT_SECONDS = 300.0


def in_sandbox(
    folder: Path, *command: str, wheelhouse: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command inside a sandbox that is started for it.

    Args:
        folder: a directory for what the sandbox needs; nothing else of the machine is written to.
        command: a program and its arguments.
        wheelhouse: where pip finds everything.
    """
    needed = [Path(path) for path in (ROOT, sys.prefix, sys.base_prefix, wheelhouse or ROOT)]
    visible = [path for path in needed if any(path.is_relative_to(hidden) for hidden in HIDDEN)]
    writable = folder / "writable"
    writable.mkdir()
    environment = (
        os.environ
        | (from_wheelhouse(wheelhouse) if wheelhouse else {})
        | {
            "FRAISIER_SANDBOX_NET": "private",
            "FRAISIER_SANDBOX_STATE": str(folder / "state"),
            "FRAISIER_SANDBOX_RW": ":".join(map(str, [writable, *visible])),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
    )
    return subprocess.run(
        [SANDBOX, "run", "--", *command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A sandbox with polkit can be started here; otherwise skip."""
    started = in_sandbox(tmp_path_factory.mktemp("sandbox"), "systemctl", "cat", "polkit.service")
    if started.returncode != 0:
        pytest.skip(f"no systemd can be started here: {started.stdout.strip()}")


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_it_works_with_a_real_systemd(module: Path, wheelhouse: Path, tmp_path: Path) -> None:
    pytest_inside = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(module)]
    done = in_sandbox(tmp_path, "env", "CI=1", *pytest_inside, wheelhouse=wheelhouse)
    assert done.returncode == 0, done.stdout

"""The command `fraisier`, as it is installed beside the Python that runs the tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

FRAISIER = Path(sys.executable).with_name("fraisier")
SECONDS = 180
"""How long it may take on a loaded machine."""


def run_fraisier(
    *arguments: str, folder: Path, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end.

    Args:
        arguments: what is said to it.
        folder: where.
        environ: its whole environment.
    """
    return _run(FRAISIER, *arguments, folder=folder, environ=environ)


def imported(*arguments: str, folder: Path, environ: Mapping[str, str]) -> set[str]:
    """Return the names of the modules that the command imports, which is run as by `run_fraisier`."""
    timed = (sys.executable, "-X", "importtime", FRAISIER)
    done = _run(*timed, *arguments, folder=folder, environ=environ)
    done.check_returncode()
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def _run(*argv: str | Path, folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

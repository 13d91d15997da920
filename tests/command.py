"""The command `fraisier`, as it is installed beside the Python that runs the tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

from tests import warm

FRAISIER = Path(sys.executable).with_name("fraisier")
SECONDS = 180
"""How long it may take on a loaded machine."""

_CALLING = threading.Lock()


def run_fraisier(
    *arguments: str, folder: Path, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in a process that has its libraries already; see `warm`.

    Args:
        arguments: what is said to it.
        folder: where.
        environ: its whole environment.
    """
    if any(name.startswith(("LC_", "PYTHON")) for name in {*environ} - {"PYTHONPATH"}):
        return _run(FRAISIER, *arguments, folder=folder, environ=environ)  # they change how Python starts
    argv = [str(FRAISIER), *arguments]
    outputs = [os.pipe() for _ in range(3)]
    with TemporaryFile("w+") as call, Path(os.devnull).open() as null:
        said = {"argv": argv, "folder": str(folder), "environ": dict(environ), "umask": _umask()}
        json.dump(said, call)
        call.seek(0)
        with _CALLING:
            socket.send_fds(_warm()[0], [b"c"], [call.fileno(), null.fileno(), *(end for _, end in outputs)])
    for _, end in outputs:
        os.close(end)
    return _ended(argv, *(end for end, _ in outputs))


def imported(*arguments: str, folder: Path, environ: Mapping[str, str]) -> set[str]:
    """Return the names of the modules that the command imports, which is started for this."""
    timed = (sys.executable, "-X", "importtime", FRAISIER)
    done = _run(*timed, *arguments, folder=folder, environ=environ)
    done.check_returncode()
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def _umask() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("Umask:")[2].split()[0], 8)


@cache
def _warm() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Return what calls are sent to, and its process, which ends with this one."""
    ours, its = socket.socketpair()
    with its:
        process = subprocess.Popen(
            [sys.executable, warm.__file__, str(its.fileno())],
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            cwd="/",
            pass_fds=[its.fileno()],
            stdin=subprocess.PIPE,  # pipes, as the command has them: Python looks at its start
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    return ours, process


def _ended(argv: Sequence[str], out: int, err: int, told: int) -> subprocess.CompletedProcess[str]:
    with os.fdopen(out) as stdout, os.fdopen(err) as stderr, os.fdopen(told) as facts:
        too_late = threading.Timer(SECONDS, os.kill, (int(facts.readline()), signal.SIGKILL))
        too_late.start()
        try:
            with ThreadPoolExecutor(1) as threads:
                complaints = threads.submit(stderr.read)
                output = stdout.read()
            status = int(facts.readline())
        finally:
            is_late = not too_late.is_alive()
            too_late.cancel()
    if is_late:
        raise subprocess.TimeoutExpired(argv, SECONDS, output, complaints.result())
    return subprocess.CompletedProcess(argv, status, output, complaints.result())


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

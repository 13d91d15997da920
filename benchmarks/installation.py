"""A folder with a configuration, and the processes of Fraisier over it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SECRET = "a-secret-of-this-run"
SCRIPTS = Path(sys.executable).parent

CONFIGURATION = """\
git:
  provider: github
  github: {{webhook_secret: {secret}}}
fraises:
  my_api:
    type: api
    repository: {repository}
    environments:
      production: {{branch: main, app_path: {app_path}}}
branch_mapping:
  main: {{fraise: my_api, environment: production}}
"""


def write_configuration(folder: Path, repository: str = "https://forge.example/acme/my-api.git") -> Path:
    """Write a `fraises.yaml` for one fraise and return it."""
    config = folder / "fraises.yaml"
    app_path = folder / "app"
    config.write_text(CONFIGURATION.format(secret=SECRET, repository=repository, app_path=app_path))
    return config


@contextmanager
def running(argv: Sequence[object], ready: str, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a server until the block ends; yields it and the line of its log that matches `ready`."""
    with log.open("wb") as output:
        server = subprocess.Popen([str(each) for each in argv], stdout=output, stderr=subprocess.STDOUT)
    try:
        yield server, _await_line(server, ready, log)
    finally:
        server.terminate()
        server.wait(60)


def _await_line(server: subprocess.Popen[bytes], ready: str, log: Path) -> str:
    with subprocess.Popen(
        ["tail", "-n", "+1", "-F", log], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as tail:
        assert tail.stdout is not None
        try:
            for line in tail.stdout:
                if re.search(ready, line.decode()):
                    return line.decode()
        finally:
            tail.terminate()
    msg = f"{server.args!r} never said {ready!r}:\n{log.read_text()}"
    raise RuntimeError(msg)


@contextmanager
def webhook(config: Path, log: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run `fraisier-webhook` without a worker; yields it and its URL."""
    argv = [SCRIPTS / "fraisier-webhook", "-c", config, "--port", "0", "--no-worker", *options]
    with running(argv, r"listening on http://", log) as (server, line):
        found = re.search(r"http://\S+", line)
        assert found is not None
        yield server, found[0]


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process in MB (10^6 bytes)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def needs(program: str) -> str:
    """Return the path of a program, or say which package has it."""
    found = shutil.which(program)
    if found is None:
        msg = f"{program} is not installed: apt-get install {program}"
        raise SystemExit(msg)
    return found


def clean_environment() -> dict[str, str]:
    """Return our environment without what would change where git and Fraisier look."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "FRAISIER_"))}

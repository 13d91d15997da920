"""Somewhere to run the real command: a forge, a configuration, and a small fraise type of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fraisier_core.store.records import Deployment
from fraisier_core.testing import Forge

from tests.command import FRAISIER, SECONDS, run_fraisier
from tests.databases import PostgresDatabase
from tests.packages import PackageFolder
from tests.stores import OpenStore, open_store
from tests.waiting import wait_until

DEPLOYER = """
from fraisier_core import hookimpl

@hookimpl
def deploy(run):
    with run.step("build"):
        run.command(["sh", "build.sh"])
    run.activate()

@hookimpl
def health_check(run):
    return run.probe()
"""

CONFIG = """
git:
  provider: github
  github:
    webhook_secret: ${{FRAISIER_WEBHOOK_SECRET}}
fraises:
  my_api:
    type: script
    description: My API
    repository: {url}
    environments:
      production:
        name: api.example.com
        branch: main
        health_check: {{command: [sh, check.sh], retries: 1}}
        stable_for: 0
      staging: {{}}
"""

HEALTHY = {"build.sh": "#!/bin/sh\necho building\n", "check.sh": "exit 0\n"}


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder with `fraises.yaml`, and the command in it.

    Args:
        folder: where the configuration lies.
        forge: where `my_api` comes from.
        packages: where its fraise type is installed.
        environ: the command's whole environment.
        postgres: where its store is, unless on SQLite.
    """

    folder: Path
    forge: Forge
    packages: PackageFolder
    environ: dict[str, str] = field(default_factory=dict)
    postgres: PostgresDatabase | None = None

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "fraises.yaml"

    @property
    def database(self) -> Path:
        """The store on SQLite, if there is one."""
        return self.folder / ".fraisier" / "fraisier.db"

    def open(self) -> OpenStore:
        """Open the store."""
        return self.postgres.open() if self.postgres else open_store(self.database)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return run_fraisier(*arguments, folder=self.folder, environ=self.environ | environ)

    def json(self, *arguments: str) -> Any:
        """Return what the command prints as JSON; it must succeed."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def started(self, *arguments: str, pass_fds: Collection[int] = ()) -> Iterator[Command]:
        """Run the command beside the test, both of its outputs as one; it ends with the block at last."""
        with subprocess.Popen(
            [FRAISIER, *arguments],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=tuple(pass_fds),
        ) as process:
            too_late = threading.Timer(SECONDS, process.kill)
            too_late.start()
            try:
                yield Command(process)
            finally:
                too_late.cancel()
                process.kill()

    def deploy(self, files: Mapping[str, str] | None = None) -> str:
        """Push files, deploy them to production, and return the commit's id."""
        commit = self.forge.push_files(HEALTHY | dict(files or {"file": str(time.monotonic_ns())}))
        done = self.run("deploy", "my_api", "production")
        assert done.returncode == 0, done.stderr
        return commit

    def recorded(self) -> list[Deployment]:
        """Return what the store says of every deployment, newest first."""
        with closing(self.open()) as store:
            return store.deployments()

    def last(self) -> Deployment:
        """Return the newest deployment."""
        return self.recorded()[0]

    def gate(self) -> Gate:
        """Return a gate that is closed."""
        return Gate(self.folder / "reached", self.folder / "opened")

    def push_gated(self) -> Gate:
        """Push a commit whose build waits for a gate to be opened."""
        gate = self.gate()
        build = f"echo waiting\ntouch {gate.reached}\nwhile [ ! -e {gate.opened} ]; do sleep 0.02; done\n"
        self.forge.push_files(HEALTHY | {"build.sh": build})
        return gate


@dataclass(frozen=True, slots=True)
class Gate:
    """What a build waits for.

    Args:
        reached: there once a build waits.
        opened: there once it may go on.
    """

    reached: Path
    opened: Path

    def wait(self) -> None:
        """Wait until a build has come this far."""
        wait_until(self.reached.exists)

    def open(self) -> None:
        """Let builds go on from now on."""
        self.opened.touch()


@dataclass(frozen=True, slots=True)
class Command:
    """The command at work beside the test, both of its outputs as one.

    Args:
        process: its process.
    """

    process: subprocess.Popen[str]

    def read_to(self, text: str) -> str:
        """Read what it prints up to the line that holds `text`, and return that."""
        assert self.process.stdout is not None
        read = ""
        for line in self.process.stdout:
            read += line
            if text in line:
                return read
        pytest.fail(f"{text!r} was not printed, but: {read}")

    def end(self) -> tuple[int, str]:
        """Wait for its end, and return the exit code and the rest of what it printed."""
        output, _ = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, output

    def press_ctrl_c(self) -> None:
        """Send what a terminal sends for Ctrl-C."""
        self.process.send_signal(signal.SIGINT)


def timeless(text: str) -> str:
    """Return a text with WHEN for how long ago something was."""
    return re.sub(r"\b(just now|\d+ s ago)\b", "WHEN", text)

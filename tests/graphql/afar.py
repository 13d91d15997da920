"""The same command on a host and from afar, side by side."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fraisier_core.store.records import Deployment

from tests.command import run_fraisier
from tests.graphql.serving import BIN, SECONDS, Host
from tests.waiting import wait_until

WHEN = re.compile(r"\b(?:just now|\d+ (?:s|min) ago)\b *")
VARYING = (
    (WHEN, "WHEN"),
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{12}-[0-9a-f]{4}\b"), "RELEASE"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,64}\b"), "HEX"),
    (re.compile(r"\b\d+(\.\d+)? m?s\b"), "TIME"),
)


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    stdout: str
    stderr: str

    def without(self, *varying: tuple[re.Pattern[str], str]) -> Ended:
        """Return the same without what differs from run to run."""
        texts = [self.stdout, self.stderr]
        for pattern, instead in varying:
            texts = [pattern.sub(instead, text) for text in texts]
        return Ended(self.code, *texts)


@dataclass(frozen=True, slots=True)
class Both:
    """A host, and a laptop that knows nothing but its address.

    Args:
        host: the host.
        options: before a command on the laptop.
        environ: of the laptop.
    """

    host: Host
    options: list[str]
    environ: dict[str, str] = field(default_factory=dict)

    def recorded(self) -> list[Deployment]:
        """Return what the host's store says of every deployment, newest first."""
        with closing(self.host.open()) as store:
            return store.deployments(limit=1000)

    def started(self, *words: str, cwd: Path | None = None, afar: bool = True) -> subprocess.Popen[str]:
        """Start a command, by default on the laptop."""
        return subprocess.Popen(
            [BIN / "fraisier", *(self.options if afar else []), *words],
            cwd=cwd or (Path("/") if afar else self.host.folder),
            env=self.host.environ | self.environ if afar else self.host.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def on_host(self, *words: str) -> Ended:
        """Run a command on the host."""
        return _ended(run_fraisier(*words, folder=self.host.folder, environ=self.host.environ))

    def afar(self, *words: str, cwd: Path | None = None) -> Ended:
        """Run a command on the laptop."""
        environ = self.host.environ | self.environ
        return _ended(run_fraisier(*self.options, *words, folder=cwd or Path("/"), environ=environ))

    def both(self, *words: str) -> tuple[Ended, Ended]:
        """Run a command in both places at once; return what came of it on the laptop and on the host, without
        how long ago things were.
        """
        with self.started(*words, afar=False) as here, self.started(*words) as there:
            return ended(there).without(*VARYING[:1]), ended(here).without(*VARYING[:1])


def _ended(command: subprocess.CompletedProcess[str]) -> Ended:
    return Ended(command.returncode, command.stdout, command.stderr)


def ended(command: subprocess.Popen[str]) -> Ended:
    """Wait until a command has ended."""
    stdout, stderr = command.communicate(timeout=SECONDS)
    return Ended(command.returncode, stdout, stderr)


def read_to(command: subprocess.Popen[str], text: str) -> str:
    """Read what a command prints up to the line that holds a text."""
    assert command.stdout is not None
    read = ""
    while text not in read:
        line = command.stdout.readline()
        assert line, read
        read += line
    return read


@contextmanager
def both_over(host: Host, *options: str) -> Iterator[Both]:
    """Serve the API of a host in development."""
    with host.serving(*options) as api:
        if "--worker" in options:
            wait_until(lambda: api.client.get("/readyz").status_code == 200)
        yield Both(host, ["--url", api.url])
